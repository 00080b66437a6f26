"""The page of a comparison."""

from __future__ import annotations

from crossfade.report import record, words
from crossfade.report.frame import frame
from crossfade.report.pages.trained import STORY, told_of_both
from crossfade.report.render import Page, render
from crossfade.report.sections import data as pictures
from crossfade.report.sections import facts, fairness, metrics, results


def comparison_page(comparison: record.Comparison) -> Page:
    """The page of a comparison."""
    arms, runs = results.scores(comparison), [run for mine in comparison.runs.values() for run in mine]
    names = comparison.classes or next((run.classes for run in runs if run.classes), [])
    data = pictures.data(comparison.data, comparison.part_counts, names)
    config = comparison.config or next((run.config for run in runs if run.config), "")
    done = facts.facts(config, runs, data, comparison.data)
    done.append(("Arms", ", ".join(words.line(arm) for arm in arms)))
    done.append(("Seeds", ", ".join(results.seeds_of(comparison))))
    is_finished, told = results.is_finished(comparison), results.measure_of(comparison)
    values = {
        "is_comparison": True,
        "verdict": str(comparison.summary.get("verdict") or ""),
        **results.arms_section(comparison),
        "besides": metrics.besides(comparison),
        "sentences": [str(said) for said in words.listing(comparison.evaluation.get("sentences"))],
        "weights": fairness.fairness(arms, comparison),
        "facts": done,
        "data": data,
        **frame(comparison, "compare", is_finished=is_finished, summary=comparison.summary, runs=runs),
        "config": config,
        **told_of_both(comparison.runs, names, told.name),
    }
    return render("comparison.html.j2", STORY, values)
