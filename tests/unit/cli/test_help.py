"""What `--help` and the letters about wrong flags tell a newcomer."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from crossfade.cli import COMMANDS, ELSEWHERE, run
from crossfade.cli.options import CHECK_OWN, LR_OWN, PANELS
from crossfade.training.config import RunConfig
from crossfade.vision.preprocess import Preprocess


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run([*arguments, "--help"]) == 0
    return capsys.readouterr().out


def flag(page: str, name: str) -> str:
    """What a page of help says of a flag, in one line."""
    words = re.search(rf"│ [* ]*--{name} .*?(?=│\n│ [* ]*-|│\n╰)", page, re.S)
    assert words, name
    return re.sub(r"[\s│]+", " ", words.group())


def test_commands_are_listed_in_the_order_of_their_use(capsys):
    page = told(capsys)
    assert re.findall(r"^│ (\w+) ", page, re.M) == list(COMMANDS)
    assert "Exit codes" in page


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_is_its_docstring_in_lines_that_are_full(capsys, command):
    page = told(capsys, command)
    text = page.partition("\n\n")[2].partition("╭")[0]
    for paragraph in text.strip().split("\n\n"):
        *lines, _ = paragraph.split("\n")
        assert all(len(line) > 60 for line in lines), paragraph
    assert "Exit codes" not in page
    assert "[default: False]" not in page


def test_options_of_a_training_stand_in_panels(capsys):
    page = told(capsys, "train")
    assert re.findall(r"^╭─ ([\w ]+?) ─", page, re.M) == ["Arguments", "Parameters", *PANELS.values()]
    assert set(PANELS) <= {one.name for one in (*fields(RunConfig), *fields(Preprocess))}


@pytest.mark.parametrize(("command", "own"), [("check", CHECK_OWN), ("lr", LR_OWN)])
def test_defaults_are_those_of_the_command(capsys, command, own):
    page = told(capsys, command)
    for name, value in own.items():
        assert f"[default: {value}]" in flag(page, name.replace("_", "-"))


@pytest.mark.parametrize(("command", "name"), [(c, name) for c, names in ELSEWHERE.items() for name in names])
def test_a_flag_that_another_command_has_is_named_by_that_of_this_one(capsys, command, name):
    assert run([command, "photos", name, "mixup"]) == 2
    letter = capsys.readouterr().err
    instead = re.search(r"Say (--\w+)", letter)
    assert instead
    assert instead.group(1) in told(capsys, command)
    assert f"Try crossfade {command} --help." in letter


def test_a_word_too_many_is_named(capsys):
    assert run(["train", "my", "photos"]) == 2
    assert "Got 'photos', too" in capsys.readouterr().err


def test_letters_are_the_same_where_pydantic_was_imported_before(capsys):
    """A tracker imports it, and Cyclopts then asks it whether our flags are what they say."""
    pytest.importorskip("pydantic")
    assert run(["train", "photos", "more"]) == 2
    assert "Got 'more', too" in capsys.readouterr().err
