"""What .ci/browser does where there is no browser: it installs one where it may, and says why where it may not."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "browser"
TOOLS = ("bash", "env", "mktemp", "rm", "tail", "timeout")
OPENS, SNAP = "echo '<p>it opens'", "echo 'install the snap' >&2; exit 1"
ROOT, USER = "echo 0", "echo 1000"
INSTALLS = """case "$*" in *update*) exit 100;; *) {cp} {browser} "${{0%/*}}/chromium";; esac"""

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")


@pytest.fixture
def found(tmp_path: Path):
    """Run the script where only these commands are, {name: shell}; (exit code, standard output, standard error)."""

    def run(**commands: str) -> tuple[int, str, str]:
        place = tmp_path / "bin"
        place.mkdir()
        for tool in TOOLS:
            (place / tool).symlink_to(str(shutil.which(tool)))
        for name, shell in commands.items():
            (place / name).write_text(f"#!/bin/sh\n{shell}\n")
            (place / name).chmod(0o755)
        environment = {"PATH": str(place), "TMPDIR": str(tmp_path)}
        done = subprocess.run([str(place / "bash"), str(SCRIPT)], env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout.strip().removeprefix(f"{place}{os.sep}"), done.stderr

    return run


def apt(tmp_path: Path) -> str:
    """An apt-get whose update fails, and whose Chromium opens pages."""
    browser = tmp_path / "browser"
    browser.write_text(f"#!/bin/sh\n{OPENS}\n")
    browser.chmod(0o755)
    return INSTALLS.format(cp=shutil.which("cp"), browser=browser)


def test_a_browser_that_opens_pages_is_taken_and_a_name_that_opens_none_is_not(found) -> None:
    assert found(**{"chromium-browser": SNAP, "google-chrome": OPENS}) == (0, "google-chrome", "")


def test_one_is_installed_as_root_though_the_lists_are_old(found, tmp_path: Path) -> None:
    assert found(**{"chromium-browser": SNAP, "id": ROOT, "apt-get": apt(tmp_path)})[:2] == (0, "chromium")


def test_one_is_installed_by_a_sudo_that_asks_for_nothing(found, tmp_path: Path) -> None:
    sudo = '[ "$1" = -n ] && shift && exec "$@"'
    true = "exit 0"
    assert found(**{"id": USER, "sudo": sudo, "true": true, "apt-get": apt(tmp_path)})[:2] == (0, "chromium")


@pytest.mark.parametrize(
    ("commands", "reason"),
    [({"chromium": SNAP}, "there is no apt-get"), ({"id": USER, "apt-get": "exit 0"}, "not root"),
     ({"id": USER, "sudo": "exit 1", "apt-get": "exit 0"}, "sudo asks for a password"),
     ({"id": ROOT, "apt-get": "echo 'E: no such package' >&2; exit 100"}, "E: no such package"),
     ({"id": ROOT, "apt-get": "exit 0"}, "opens no page")],
)  # fmt: skip
def test_without_one_it_fails_and_says_why(found, commands: dict[str, str], reason: str) -> None:
    code, out, err = found(**commands)
    assert (code, out) == (1, "")
    assert err.startswith("No browser: ")
    assert reason in err
