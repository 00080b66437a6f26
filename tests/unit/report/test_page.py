"""The page: everything is on it, nothing on it comes from elsewhere, and no name can become markup."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
from matplotlib import image as mpl_image

from crossfade.errors import ConfigError
from crossfade.report import write_report
from tests.unit.report.conftest import change
from tests.unit.report.hostile import HOSTILE, SCRIPT, check_markup, write_named
from tests.unit.report.outline import Outline

SECTIONS = [
    "Results",
    "Class by class",
    "What is taken for what",
    "How it learned",
    "What the model saw",
    "How strongly samples were mixed",
    "The pictures",
    "How it was kept fair",
    "Configuration and versions",
    "To repeat it",
]


def page(folder) -> str:
    return write_report(folder).read_text(encoding="utf-8")


def words_of(html: str) -> str:
    return " ".join(Outline(html).text.split())


def test_the_page_of_a_comparison_has_every_section_in_order(comparison):
    folder = comparison()
    assert write_report(folder) == folder / "report.html"
    html = page(folder)
    outline = Outline(html)
    assert [heading.strip() for heading in outline.headings] == SECTIONS
    text = words_of(html)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["verdict"] in text
    assert "30 in 3 classes" in text
    assert "18 train, 6 val, 6 test" in text
    assert "8 to 20 pixels high, 9 wide" in text
    assert "Accuracy on the test part, with the weights of the last epoch." in text
    for arm in summary["arms"].values():
        assert f"{100 * arm['mean']:.1f}%" in text
        assert all(f"{100 * value:.1f}%" in text for value in arm["seeds"])
    assert text.count("equal in all 3") == 3
    assert "crossfade compare pictures/flowers --seeds 3" in text
    assert "Training accuracy, weighed by labels" in text
    assert "missing" not in text
    assert sorted(p.name for p in folder.iterdir() if p.name.startswith(".")) == []


def test_the_page_of_a_training_has_its_own_sections(training):
    html = page(training(accuracy=0.75))
    text = words_of(html)
    assert [h.strip() for h in Outline(html).headings] == [s for s in SECTIONS if s != "How it was kept fair"]
    assert "75.0% of the test pictures are named rightly by the weights of the last of 6 epochs." in text
    assert "Validation part, best epoch" in text
    assert "paired" not in text


def test_a_training_is_judged_by_what_its_summary_says(training):
    folder = training(epochs=3)
    change(folder / "summary.json", judged={"part": "val", "epoch": "best", "accuracy": 0.5}, best_epoch=2)
    assert "50.0% of the validation pictures are named rightly by the weights of epoch 2, the best of 3." in page(
        folder
    )


def test_the_figures_are_also_files_of_their_own_that_stand_alone(comparison):
    folder = comparison(arms=("none", "mixup"), seeds=2, epochs=2)
    write_report(folder)
    names = ["differences", "lambda-1", "learning-rate", "scores", "train-accuracy", "train-loss"]
    names += ["val-accuracy", "val-loss"]
    assert sorted(path.stem for path in (folder / "figures").iterdir()) == names
    curve = (folder / "figures/val-loss.svg").read_text()
    assert ">mixup</text>" in curve
    assert "fill: #ffffff" in curve


def test_figures_are_png_files_too_where_that_is_asked_for(training):
    folder = training(epochs=2)
    write_report(folder, png=True)
    files = {kind: sorted(path.stem for path in (folder / "figures").glob(f"*.{kind}")) for kind in ("svg", "png")}
    assert files["svg"] == files["png"] != []
    drawn = mpl_image.imread(folder / "figures" / "val-loss.png")
    assert drawn.shape[1] >= 800
    assert len(np.unique(drawn.reshape(-1, drawn.shape[2]), axis=0)) > 20, "a curve, not a blank"


def test_a_verdict_on_several_arms_is_a_line_each(comparison):
    folder = comparison(seeds=2, epochs=1)
    verdict = "mixup helps: +2.0 (3 seeds); cutmix: no difference was shown, +0.1 (3 seeds)"
    change(folder / "summary.json", verdict=verdict)
    html = page(folder)
    assert "<span>mixup helps: +2.0 (3 seeds);</span> <span>cutmix: no difference" in html
    assert verdict in words_of(html)


@pytest.mark.parametrize("key", ["arms", "differences", "runs", "seeds", "verdict", "commands", "baseline"])
def test_a_summary_of_the_wrong_kind_is_no_crash(comparison, key):
    folder = comparison(arms=("none", "mixup"), seeds=1, epochs=1, n=1)
    for value in (3, "x", [None], {"none": None}, {"mixup - none": [1]}):
        change(folder / "summary.json", **{key: value})
        html = page(folder)
        assert Outline(html).headings[0] == "Results"


def test_every_picture_stands_over_its_label_weights(training):
    folder = training(n=3)
    with np.load(folder / "seen.npz") as file:
        changed = dict(file) | {
            "weights": np.array([[0.28, 0.72], [0.4, 0.6], [1, 0]]),
            "label_of_layer": np.array([[0, 1], [2, 2], [1, -1]]),
        }
    np.savez(folder / "seen.npz", **changed)
    outline = Outline(page(folder))
    assert outline.alts == ["0.72 rose / 0.28 daisy", "1.00 tulip", "1.00 rose"]
    assert "1.00 tulip 2 of a kind" in " ".join(outline.text.split())


def test_the_confusion_matrices_of_the_seeds_are_added_up(comparison):
    folder = comparison(arms=("none", "mixup"), seeds=2, classes=("a", "b"))
    for arm in (0, 1):
        for seed in (0, 1):
            (folder / f"arm-{arm}/seed-{seed}/confusion.json").write_text(
                json.dumps({"part": "test", "matrix": [[300 + arm, 7 + seed], [0, 50]]})
            )
    cells = re.findall(r'<td(?: class="(\w+)[^"]*" style="--a:([\d.]+)")?>(\d*)</td>', page(folder))
    cells = [cell for cell in cells if cell[2] in ("600", "602", "15", "100", "")]
    assert cells == [
        ("hit", "0.98", "600"),
        ("miss", "0.02", "15"),
        ("", "", ""),
        ("hit", "1.00", "100"),
        ("hit", "0.98", "602"),
        ("miss", "0.02", "15"),
        ("", "", ""),
        ("hit", "1.00", "100"),
    ]


def test_beyond_thirty_classes_the_worst_pairs_are_listed(training):
    folder = training(classes=[f"c{i}" for i in range(31)])
    matrix = np.diag(np.full(31, 5))
    matrix[4, 9] = 15
    (folder / "confusion.json").write_text(json.dumps({"part": "val", "matrix": matrix.tolist()}))
    html = page(folder)
    assert 'class="matrix' not in html
    assert "c4 c9 15 75.0%" in words_of(html)


def test_leaks_conflicts_and_unequal_classes_are_warned_of(comparison):
    folder = comparison()
    assert "more than one part" not in page(folder)
    change(
        folder / "data.json",
        parts={"train": {"daisy": 40, "rose": 10, "tulip": 5}, "test": {"daisy": 2, "rose": 2, "tulip": 1}},
        leaks=[{"kind": "near_identical", "parts": ["train", "test"], "paths": ["test/a.png", "train/b.png"]}] * 300,
        conflicts=[{"kind": "identical", "classes": ["rose", "tulip"], "paths": ["rose/a.png", "tulip/b.png"]}],
        near_duplicates=[["test/a.png", "train/b.png"]],
        split_notes=["val has no picture of class 'tulip': all of them belong together"],
    )
    found = Outline(page(folder)).text
    assert "300 pictures or groups are in more than one part." in found
    assert "Nearly the same, train and test: test/a.png = train/b.png" in found
    assert "and 100 more" in found
    assert "1 picture is under more than one class: the labels contradict each other." in found
    assert "The same bytes, rose and tulip: rose/a.png = tulip/b.png" in found
    assert "1 group of near-identical pictures" in found
    assert "The largest class has 7.0 times the pictures of the smallest" in found
    assert "val has no picture of class 'tulip': all of them belong together." in found


@pytest.mark.parametrize("n", [25, 100])
def test_no_name_becomes_markup(tmp_path, n):
    """A few classes have a matrix, many have a list."""
    plain = [f"name {i}" for i in range(n)]
    pages = [page(write_named(tmp_path / names[0][:4], names, evaluated=False)) for names in (HOSTILE[-n:], plain)]
    check_markup(*map(Outline, pages))
    assert SCRIPT in Outline(pages[0]).text


def test_nothing_is_loaded_from_elsewhere(comparison):
    html = page(comparison())
    assert all(address.startswith(("#", "data:image/")) for address in Outline(html).addresses)
    assert not re.search(r"@import|url\((?!#)", html)
    assert "http://" not in html
    assert "https://" not in html
    assert "default-src 'none'" in html


def test_a_page_of_the_worst_pictures_stays_under_three_megabytes(comparison):
    path = write_report(comparison(size=128, n=16))
    assert 300_000 < path.stat().st_size < 3_000_000
    text = words_of(path.read_text())
    assert text.count("of 16 pictures mixed") == 3
    assert Outline(path.read_text()).elements.count(("img", "src", "alt")) >= 24


def test_even_pictures_of_noise_in_many_arms_do_not_make_it_larger(comparison):
    path = write_report(comparison(arms=[f"arm{i}" for i in range(6)], seeds=1, size=256, epochs=1))
    assert path.stat().st_size < 3_000_000
    assert "left out to keep this page small" in path.read_text()


def test_one_seed_is_called_an_anecdote(comparison):
    text = words_of(page(comparison(seeds=1)))
    assert "No verdict: one seed is an anecdote." in text
    assert "no spread to judge by, and so no interval: one seed is an anecdote." in text
    assert "most likely (95%)" not in text


def test_unequal_initial_weights_are_shouted(comparison):
    folder = comparison()
    summary = json.loads((folder / "summary.json").read_text())
    summary["arms"]["mixup"]["initial_weights"][1] = "f" * 64
    summary["arms"]["mixup"]["initial_weights"][2] = None
    (folder / "summary.json").write_text(json.dumps(summary))
    text = words_of(page(folder))
    assert "Do not trust the paired differences" in text
    assert text.count("equal in all 3") == 1
    assert "different" in text
    assert "not recorded in all" in text


MISSING = {
    "metrics.jsonl": "No epoch has been recorded",
    "seen.npz": "No run kept its first batch (seen.npz)",
    "lambda.json": "No run kept its lambda (lambda.json)",
    "confusion.json": "No run kept its confusion matrix",
}


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_piece_is_said_where_it_would_stand(comparison, name):
    folder = comparison(arms=("none", "mixup"), seeds=2, epochs=2)
    for path in folder.glob(f"*/*/{name}"):
        path.unlink()
    text = words_of(page(folder))
    assert MISSING[name] in text
    assert "4 pieces of the record missing or unreadable" in text


def test_a_comparison_that_was_stopped_shows_what_there_is(comparison):
    folder = comparison()
    (folder / "summary.json").unlink()
    (folder / "data.json").unlink()
    (folder / "arm-1/seed-2/summary.json").unlink()
    shutil.rmtree(folder / "arm-2/seed-1")
    change(folder / "arm-0/seed-0/summary.json", judged={"part": "test", "accuracy": 0.123})
    text = words_of(page(folder))
    assert "12.3%" in text
    assert "Arms none, mixup, cutmix:alpha=0.5" in text
    assert "This comparison has not finished, so there is no verdict yet." in text
    assert "Only the trainings that have ended are in this table." in text
    assert "18 train, 6 val, 6 test" in text
    assert "equal in all" not in text.replace("equal in all 3", "", 3)


def test_a_comparison_of_nothing_but_folders(tmp_path):
    (tmp_path / "none" / "seed-0").mkdir(parents=True)
    text = words_of(page(tmp_path))
    assert "no verdict yet" in text
    assert "so there are no curves" in text


def test_a_training_that_was_stopped(training):
    folder = training(epochs=2)
    for name in ("summary.json", "split.csv", "config.toml", "environment.json", "classes.json"):
        (folder / name).unlink()
    text = words_of(page(folder))
    assert "This training has not finished: 2 epochs so far, no summary.json." in text
    assert "Neither data.json nor split.csv was found" in text
    assert "config.toml is missing." in text


def test_an_arm_that_mixed_nothing_says_so_instead_of_a_histogram(comparison):
    html = page(comparison(arms=("none", "mixup"), seeds=1))
    assert "none: nothing was mixed, lambda is 1 throughout." in words_of(html)
    assert html.count('aria-label="Histogram of lambda') == 1


def test_refused_files_are_listed_by_reason_and_cut_short(comparison):
    refused = [{"path": f"{i}.jpg", "reason": "not_an_image", "detail": "text"} for i in range(250)]
    text = words_of(page(comparison(refused=[*refused, {"path": "x.png", "reason": "corrupt", "detail": None}])))
    assert "250 files not an image" in text
    assert "199.jpg text" in text
    assert "200.jpg" not in text
    assert "and 50 more" in text
    assert "1 file corrupt" in text


def test_the_same_folder_gives_the_same_page(comparison):
    folder = comparison(seeds=1)
    assert page(folder) == page(folder)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="which holds none of them"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_cannot_be_written_is_a_sentence(training):
    folder = training(epochs=1)
    (folder / "report.html").mkdir()
    with pytest.raises(ConfigError, match=r"^report: the page is written into the run folder\. Got .*\. Copy"):
        write_report(folder)
    assert not [p for p in folder.iterdir() if p.name.startswith(".")]
