"""The sections that tell more than accuracy: an evaluation, the other metrics, the schedule, the commands."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from crossfade.report import write_report
from crossfade.report.measure import MEASURES, measure
from crossfade.report.sections.calibration import pooled
from crossfade.report.sections.classes import from_confusion
from tests.unit.report.conftest import change, make_training, write_json
from tests.unit.report.evaluations import evaluated_comparison, evaluated_training
from tests.unit.report.outline import Outline
from tests.unit.report.test_page import SECTIONS, page, words_of

STORY = [
    "Results",
    "What else mixing changed",
    "Class by class",
    "What is taken for what",
    "The hardest pictures",
    "How sure it is, and how often right",
    "When pictures are spoiled",
    *SECTIONS[3:],
]
ONLY_COMPARED = ("What else mixing changed", "How it was kept fair")


def headings(html: str) -> list[str]:
    return [heading.strip() for heading in Outline(html).headings]


def labels(html: str) -> list[str]:
    return [part.partition('"')[0] for part in html.split('role="img" aria-label="')[1:]]


def test_an_evaluated_comparison_tells_the_whole_story_in_order(tmp_path):
    html = page(evaluated_comparison(tmp_path / "c", arms=("none", "mixup"), seeds=2))
    assert headings(html) == STORY
    text = words_of(html)
    assert "Evaluated on 120 pictures, the test part." in text
    assert "mixup is better calibrated than none." in text
    assert "75.5%+2.0(−1.0 to +5.0) 0.085−0.030(−0.040 to −0.020)better" in text


def test_an_evaluated_training_tells_it_too(tmp_path):
    html = page(evaluated_training(tmp_path / "t"))
    assert headings(html) == [title for title in STORY if title not in ONLY_COMPARED]
    text = words_of(html)
    assert "Evaluated, with 95% intervals 75.0%72.0 to 78.0%" in text
    assert "0.6600.630 to 0.690" in text


def test_what_flatters_an_evaluation_and_what_it_left_out_is_said(tmp_path):
    folder = evaluated_training(tmp_path / "t")
    path = folder / "evaluation/evaluation.json"
    data = json.loads(path.read_text())["data"]
    change(path, data=data | {"left_out": {"trained_on": 1240, "refused": 0}, "notes": ["it flatters"]})
    text = words_of(page(folder))
    assert "Left out of the evaluation: 1,240 that the run was trained on. It flatters." in text


@pytest.mark.parametrize("kind", ["training", "comparison"])
def test_that_validation_chose_when_to_stop_is_said_where_its_score_stands(kind, training, comparison):
    make, said = {"training": training, "comparison": comparison}[kind], "The validation pictures chose when to stop"
    patient = {"config": 'model = "cnn4"\npatience = 2\n'}
    assert said in write_report(make(part="val", **patient)).read_text()
    assert said not in write_report(make(part="test", **patient)).read_text()
    assert said not in write_report(make(part="val")).read_text()


def test_the_loss_is_not_told_twice(training):
    folder = training()
    assert "Loss" in words_of(page(folder)).partition("Judged on")[2].partition("Class by class")[0]
    scores = {"accuracy": 0.7, "auc": 0.9, "log_loss": 0.5, "loss": 0.5}
    change(folder / "summary.json", val=scores, last=scores, test=scores)
    told = words_of(page(folder)).partition("Judged on")[2].partition("Class by class")[0]
    assert "Log loss" in told
    assert "Loss" not in told


def test_the_contents_lead_to_every_section(tmp_path):
    for html in (page(evaluated_training(tmp_path / "t")), page(make_training(tmp_path / "plain"))):
        anchors = [part.partition('"')[0] for part in html.split('<section id="')[1:]]
        assert [part.partition('"')[0] for part in html.split('<a href="#')[1:]][: len(anchors)] == anchors
        assert len(anchors) == len(headings(html))


def test_the_worst_class_comes_first(tmp_path):
    text = words_of(page(evaluated_training(tmp_path / "t")))
    assert "daisy is named rightly least often (25.0%), tulip most often (75.0%)." in text
    first = text.index("daisy 40 25.0%")
    assert first < text.index("rose 40 50.0%") < text.index("tulip 40 75.0%")
    assert "Precision" in text
    assert "ROC AUC" in text


def test_without_an_evaluation_the_classes_are_told_by_the_confusion_counts(training):
    folder = training()
    write_json(folder / "confusion.json", {"part": "test", "matrix": [[9, 1, 0], [0, 10, 0], [4, 0, 1]]})
    text = words_of(page(folder))
    assert "tulip is named rightly least often (20.0%), rose most often (100.0%)." in text
    assert "tulip 5 20.0% 100.0% 33.3%" in text


def test_counts_give_precision_recall_and_f1_only_where_they_can():
    rows = from_confusion(np.array([[3, 1, 0], [1, 1, 0], [0, 0, 0]]))
    assert rows[0] == {"pictures": 4, "recall": 0.75, "precision": 0.75, "f1": 0.75}
    assert rows[2] == {"pictures": 0, "recall": None, "precision": None, "f1": None}


def test_only_the_worst_of_many_classes_are_listed(tmp_path):
    text = words_of(page(make_training(tmp_path / "t", classes=[f"c{i}" for i in range(130)])))
    assert "The 30 classes that follow, all better, are left out here." in text


def test_the_evaluation_s_confusion_replaces_the_judged_one_only_where_all_have_it(tmp_path):
    folder = evaluated_comparison(tmp_path / "c", arms=("none", "mixup"), seeds=2)
    for path in folder.glob("arm-*/*/evaluation/evaluation.json"):
        change(path, confusion=[[501, 0, 0], [0, 7, 0], [0, 0, 8]])
    assert ">1002<" in page(folder)
    shutil.rmtree(folder / "arm-1/seed-1/evaluation")
    text = page(folder)
    assert ">1002<" not in text
    assert "Evaluated on" not in text


def test_the_hardest_pictures_say_what_they_are_and_what_was_said(tmp_path):
    outline = Outline(page(evaluated_training(tmp_path / "t", n=3)))
    assert outline.alts[:2] == [
        "daisy, taken for rose at 99.0%: daisy/0.png",
        "rose, taken for tulip at 98.5%: rose/1.png",
    ]
    assert "said rose , 99.0%" in " ".join(outline.text.split()).replace("rose,", "rose ,")


def test_hardest_pictures_that_are_gone_are_noted_not_missed(tmp_path):
    folder = evaluated_training(tmp_path / "t")
    (folder / "evaluation/hardest.npz").unlink()
    html = page(folder)
    assert "The hardest pictures" not in headings(html)
    assert "hardest.npz is missing." in words_of(html)


def test_bins_of_several_trainings_are_pooled_by_their_pictures():
    one = [{"low": 0.0, "count": 0, "confidence": None, "accuracy": None}]
    one += [{"low": 0.5, "count": 10, "confidence": 0.6, "accuracy": 0.5}]
    two = [{"low": 0.5, "count": 30, "confidence": 0.7, "accuracy": 0.9}, {"low": 0.9, "count": "x"}]
    np.testing.assert_allclose(pooled([one, two]), [[40, 0.675, 0.8]])
    assert pooled([]).shape == (0, 3)


def test_calibration_is_told_in_words(tmp_path):
    html = page(evaluated_training(tmp_path / "t"))
    said = next(label for label in labels(html) if label.startswith("Reliability"))
    assert "calibration error 0.100" in said
    assert "so it is too sure" in said
    assert "with temperature 1.430 the error is 0.010." in said


def test_robustness_has_a_figure_for_each_kind_and_a_table_of_means(tmp_path):
    html = page(evaluated_training(tmp_path / "t"))
    said = [label for label in labels(html) if "clean pictures" in label]
    assert len(said) == 5
    assert said[0].startswith(
        "FGSM attack: accuracy at strength 16 of 255, largest change of a pixel: mixup from 75.0%"
    )
    assert said[0].endswith("to 24.6%.")
    assert "Accuracy on 60 pictures" in words_of(html)
    assert "mixup 75.0% 40.3% 40.3%" in words_of(html)


def test_what_has_not_been_run_is_named_with_its_command(training, tmp_path):
    folder = training()
    text = words_of(page(folder))
    assert f"crossfade evaluate {folder}" in text
    assert f"crossfade evaluate {folder} --robustness" in text
    some = words_of(page(evaluated_training(tmp_path / "some", robustness=False)))
    assert "Metrics with intervals, calibration, the hardest pictures" not in some
    assert f"crossfade evaluate {tmp_path / 'some'} --robustness" in some
    assert "has not been run" not in words_of(page(evaluated_training(tmp_path / "all"))).lower()


def test_commands_are_quoted_for_a_shell(tmp_path):
    folder = evaluated_training(tmp_path / "my run")
    text = words_of(page(folder))
    assert "crossfade train '/pictures/my flowers'" in text
    assert f"crossfade report '{folder}'" in text
    assert "resume" not in text
    (folder / "summary.json").unlink()
    assert f"crossfade resume '{folder}'" in words_of(page(folder))


def test_the_schedule_is_drawn_once_where_all_arms_share_it(comparison):
    folder = comparison(arms=("none", "mixup"), seeds=1, epochs=3)
    assert "Learning rate at the end of each epoch: 0.01 of the first, 0.01 of the last." in labels(page(folder))
    path = folder / "arm-1/seed-0/metrics.jsonl"
    path.write_text(path.read_text().replace('"lr": 0.01', '"lr": 0.5'))
    assert any(label.endswith("; the arms differ.") for label in labels(page(folder)))


def test_curves_say_in_words_where_they_begin_and_end(training):
    folder = training(epochs=3)
    rows = [{"epoch": e, "val": {"accuracy": a, "auc": a + 0.1}} for e, a in ((1, 0.25), (2, 0.5), (3, 0.625))]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = labels(page(folder))
    assert "Validation accuracy by epoch: mixup from 25.0% to 62.5% at epoch 3." in found
    assert "Validation ROC AUC by epoch: mixup from 35.0% to 72.5% at epoch 3." in found


def test_a_comparison_by_another_metric_says_so_everywhere(comparison):
    folder = comparison(arms=("none", "mixup"), seeds=2, epochs=2)
    summary = json.loads((folder / "summary.json").read_text())
    gap = {"mean": -0.0312, "ci95": [-0.05, 0.01], "bootstrap95": [-0.04, -0.02], "n": 2, "seeds_needed": 7}
    summary["differences"]["mixup - none"] = gap
    write_json(folder / "summary.json", summary | {"metric": "log_loss"})
    text = words_of(page(folder))
    assert "Log loss on the test part" in text
    assert "lower is better" in text
    assert "−0.031 (−0.050 to +0.010)bootstrap −0.040 to −0.020" in text
    assert "mixup: if −0.031 is the true difference, about 7 seeds in all would show it in 80% of comparisons." in text
    assert "points" not in text.partition("Class by class")[0].partition("Results")[2]


@pytest.mark.parametrize(
    ("name", "ends", "word"),
    [("accuracy", [0.1, 0.2], "better"), ("ece", [0.1, 0.2], "worse"), ("ece", [-0.2, -0.1], "better"),
     ("accuracy", [-0.2, -0.1], "worse"), ("auc", [-0.1, 0.1], ""), ("auc", None, ""), ("auc", [0.0, 0.1], "")],
)  # fmt: skip
def test_a_difference_is_called_better_or_worse_only_beyond_zero(name, ends, word):
    assert MEASURES[name].favours(ends) == word


def test_an_unknown_metric_is_a_plain_number():
    assert measure("kappa").say(0.5) == "0.500"
    assert measure(None).name == "accuracy"


BROKEN = [
    [],
    3,
    {"metrics": 3, "argv": 3},
    {"hardest": [3], "per_class": [3], "data": 3},
    {"calibration": {"bins": [3]}, "robustness": {"curves": {"a": {"strengths": "x"}}}},
    {"robustness": {"curves": {"a": {"strengths": [1], "accuracy": ["x"]}}}},
]


@pytest.mark.parametrize("name", ["evaluation/evaluation.json", "command.json"])
@pytest.mark.parametrize("value", BROKEN)
def test_an_evaluation_of_the_wrong_kind_is_no_crash(tmp_path, name, value):
    folder = evaluated_training(tmp_path / "t", n=2)
    write_json(folder / name, value)
    assert headings(page(folder))[0] == "Results"


def test_a_page_that_was_written_before_it_was_evaluated_is_written_anew(tmp_path):
    folder = evaluated_training(tmp_path / "t")
    shutil.move(folder / "evaluation", tmp_path / "later")
    before = page(folder)
    shutil.move(tmp_path / "later", folder / "evaluation")
    write_report(folder)
    assert len(page(folder)) > len(before)


def test_options_of_an_arms_own_are_said_and_not_that_only_mixing_differs(comparison):
    folder = comparison(arms=("none", "mixup"), seeds=2)
    assert "Only the mixing differs" in words_of(page(folder))
    change(folder / "summary.json", own={"none": {"lr": 0.001}, "mixup": {"lr": 0.01, "weight_decay": 0.05}})
    text = words_of(page(folder))
    assert "Only the mixing differs" not in text
    assert "none has lr 0.001; mixup has lr 0.01, weight_decay 0.05." in text


def test_a_caution_of_the_summary_stands_with_the_results(comparison):
    folder = comparison(arms=("none", "mixup"), seeds=2)
    change(folder / "summary.json", caution="2 differences were looked at")
    assert "2 differences were looked at." in words_of(page(folder))


@pytest.mark.parametrize(("needed", "said"), [(12, "about 12 seeds in all"), (1001, "more than 1,000 seeds in all")])
def test_how_many_seeds_it_would_take(comparison, needed, said):
    folder = comparison(arms=("none", "mixup"), seeds=3)
    unclear = {"mean": 1e-3, "ci95": [-0.03, 0.032], "bootstrap95": None, "seeds_needed": needed, "n": 3}
    change(folder / "summary.json", differences={"mixup - none": unclear})
    assert f"is the true difference, {said} would show it in 80% of comparisons" in words_of(page(folder))


@pytest.mark.parametrize(
    ("device", "option", "exact"), [("cpu", "", True), ("cuda", "", False), ("cpu", "timeout = 180.0\n", False)]
)
def test_the_same_numbers_are_promised_only_where_they_come_again(training, device, option, exact):
    folder = training(config=f'model = "cnn4"\nsize = 8\n{option}')
    change(folder / "environment.json", device=device)
    write_json(folder / "command.json", {"kind": "train", "data": "x", "argv": ["crossfade", "train", "x"]})
    assert ("the same numbers to the last bit" in words_of(page(folder))) == exact


def test_a_score_of_nothing_is_a_score(training):
    folder = training()
    summary = json.loads((folder / "summary.json").read_text())
    change(
        folder / "summary.json", **{key: {**summary[key], "accuracy": 0.0} for key in ("val", "last", "test", "judged")}
    )
    results = words_of(page(folder)).partition("Judged on")[2].partition("Class by class")[0]
    assert "Accuracy" in results
    assert "0.0%" in results


def test_long_lists_of_copies_are_cut_and_counted(training):
    folder = training()
    clips = [[f"clip{g:04d}/frame{k:05d}.jpg" for k in range(199)] for g in range(200)]
    alike = [{"kind": "identical", "parts": ["train", "test"], "paths": paths} for paths in clips]
    write_json(folder / "data.json", {"images": 40_000, "near_duplicates": clips, "duplicates": clips, "leaks": alike})
    html = page(folder)
    assert html.count("frame00000.jpg") == html.count("frame00049.jpg") == html.count("and 149 more") == 3 * 20
    assert "frame00050.jpg" not in html
    assert html.count("and 180 more") == 3
