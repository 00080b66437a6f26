"""The model card of a run: what it is, on what it was trained, how good it is, and where to be careful.

Every number is read from the run folder; what the folder does not say, the card does not say either.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crossfade.errors import ConfigError
from crossfade.training.config import RunConfig, read_toml, resolve
from crossfade.training.keeper import flattery
from crossfade.training.predict import Predictor
from crossfade.training.record import json_table, read_record

MOST_CLASSES = 50
Z95 = 1.959964
_TITLES = {
    "accuracy": "accuracy", "top5": "top-5 accuracy", "auc": "ROC AUC", "f1": "F1, mean over classes",
    "log_loss": "log loss", "ece": "calibration error (ECE)", "loss": "loss",
}  # fmt: skip
_HUB_NAMES = {"accuracy": "accuracy", "auc": "roc_auc", "f1": "f1"}
_OF_PROBABILITIES = ("auc", "log_loss", "ece", "loss")
_PARTS = {"val": "validation", "test": "test"}


def write_card(predictor: Predictor, run: Path, name: str) -> str:
    """The text of README.md.

    Args:
        predictor: the run, loaded.
        run: its folder.
        name: of the exported folder.
    """
    card = _Card(predictor, run, name)
    return "\n".join(
        [card.head(), *card.title(), *card.use(), *card.results(), *card.data(), *card.training(), *card.limits()]
    )


class _Card:
    """The sections; each is a list of lines."""

    def __init__(self, predictor: Predictor, run: Path, name: str) -> None:
        self.predictor, self.name = predictor, name
        self.record = read_record(run, "data.json")
        self.summary = json_table(run / "summary.json")
        self.judged = _judged(self.summary, predictor.epoch)
        self.evaluated = json_table(run / "evaluation" / "evaluation.json")
        self.environment = json_table(run / "environment.json")
        self.config = _config(run)
        self.of_timm = hasattr(predictor.model, "pretrained_cfg")

    @property
    def dataset(self) -> str:
        """The name of the folder of pictures, not where it lay."""
        return Path(self.record.get("root", "")).name or "a folder of pictures"

    @property
    def scores(self) -> dict[str, float]:
        """Of the part the run was judged on; those that a temperature changes are left out where there is one."""
        changed = _OF_PROBABILITIES if self.predictor.temperature != 1 else ()
        known = {key: value for key, value in self.judged.items() if key in _TITLES and key not in changed}
        return {key: value for key, value in known.items() if isinstance(value, int | float)}

    @property
    def pictures(self) -> int:
        """How many that part has; 0 where the run does not say."""
        return sum(self.parts.get(self.judged.get("part", ""), {}).values())

    @property
    def parts(self) -> Mapping[str, Mapping[str, int]]:
        return self.record.get("parts", {})

    def head(self) -> str:
        """YAML, of which JSON is a part, so that no name can break it."""
        library = "timm" if self.of_timm else "crossfade"
        tags = ["image-classification", "crossfade"]
        lines = ["---", f"library_name: {library}", "pipeline_tag: image-classification", f"tags: {json.dumps(tags)}"]
        lines.append("# license: yours to choose, before you publish this")
        known = {key: value for key, value in self.scores.items() if key in _HUB_NAMES}
        if known:
            part = _PARTS[self.judged["part"]]
            metrics = [
                {"type": _HUB_NAMES[key], "name": _TITLES[key], "value": round(v, 6)} for key, v in known.items()
            ]
            result = {
                "task": {"type": "image-classification", "name": "Image classification"},
                "dataset": {"type": "imagefolder", "name": self.dataset, "split": part},
                "metrics": metrics,
            }
            lines.append(f"metrics: {json.dumps([_HUB_NAMES[key] for key in known])}")
            lines.append(f"model-index: {_yaml([{'name': self.name, 'results': [result]}])}")
        return "\n".join([*lines, "---", ""])

    def title(self) -> list[str]:
        state, classes = self.predictor.state, self.predictor.classes
        parameters = sum(tensor.numel() for tensor in self.predictor.model.parameters())
        shown = ", ".join(map(plain, classes[:MOST_CLASSES]))
        trained_by = f"crossfade {self.environment.get('crossfade', '')}"
        more = f" and {len(classes) - MOST_CLASSES:,} more, see config.json" if len(classes) > MOST_CLASSES else ""
        return [
            f"# {plain(self.name)}",
            "",
            f"`{state['model']}` ({parameters:,} parameters) tells {len(classes):,} classes of pictures apart: "
            f"{shown}{more}. It was trained on {plain(self.dataset)} with {plain(trained_by)}.",
            "",
        ]

    def use(self) -> list[str]:
        lines = [
            "## How to use it",
            "",
            "```bash",
            "pip install 'crossfade[workbench]'",
            "crossfade predict . picture.jpg    # . is this folder",
            "```",
            "",
            "```python",
            "from pathlib import Path",
            "",
            "from crossfade.training.predict import load_run",
            "",
            'network = load_run(".")  # this folder',
            'for found in network.predict([Path("picture.jpg")]):',
            "    if found.probabilities is None:",
            "        print(found.refused)",
            "    else:",
            "        best = found.probabilities.argmax()",
            '        print(network.classes[best], f"{100 * found.probabilities[best]:.1f}%")',
            "```",
            "",
        ]
        if self.of_timm:
            lines += [
                "timm loads the weights, too. It resizes in a way of its own, so probabilities differ a little"
                + (", and knows of no temperature:" if self.predictor.temperature != 1 else ":"),
                "",
                "```python",
                "import timm",
                "",
                'model = timm.create_model("local-dir:.", pretrained=True).eval()',
                "```",
                "",
            ]
        return lines + self.preparation()

    def preparation(self) -> list[str]:
        preprocess, normalisation = self.predictor.feed.preprocess, self.predictor.feed.normalisation
        steps = [f"fit = {preprocess.fit} to {self.predictor.size} x {self.predictor.size} pixels"]
        steps += [f"view = {preprocess.view}"] if preprocess.view else []
        steps += [f"threshold = {preprocess.threshold}"] if preprocess.threshold is not None else []
        steps += [f"{preprocess.morphology} by a {preprocess.element} of radius {preprocess.radius}"] * bool(
            preprocess.morphology
        )
        numbers = "of each picture by itself"
        if preprocess.normalise_by == "training":
            mean, std = (
                ", ".join(f"{one:.4f}" for one in values) for values in (normalisation.mean, normalisation.std)
            )
            numbers = f"(x / 255 - mean) / std with mean {mean} and std {std}"
        steps.append(f"normalise = {preprocess.normalise}, {numbers}")
        return [f"What is done to a picture first: {'; '.join(steps)}.", ""]

    def results(self) -> list[str]:
        if not self.scores:
            return ["## Results", "", "The run holds none.", ""]
        part, epoch = _PARTS[self.judged["part"]], self.judged["epoch"]
        n = f"{self.pictures:,} " if self.pictures else ""
        lines = ["## Results", "", f"On {n}{part} pictures, with the weights of the {epoch} epoch:", ""]
        lines += ["| measure | value | 95% interval |", "|---|---|---|"]
        for key, value in self.scores.items():
            ends = self.interval(key, value)
            interval = "" if ends is None else f"{_number(key, ends[0])} to {_number(key, ends[1])}"
            lines.append(f"| {_TITLES[key]} | {_number(key, value)} | {interval} |")
        said = "Intervals are over pictures, not over trainings: this is one training with one seed."
        return [*lines, "", said, "", *self.temperature()]

    def temperature(self) -> list[str]:
        """What scaling the probabilities changed, on the pictures that `crossfade evaluate` judged."""
        if self.predictor.temperature == 1:
            return []
        found, data = self.evaluated["calibration"], self.evaluated["data"]
        where = f"{plain(Path(data['root']).name)}, part {plain(data['part'])}"
        changes = [
            f"{_TITLES[key]} from {found[key]:.4f} to {found[f'{key}_after']:.4f}" for key in ("ece", "log_loss")
        ]
        return [
            f"Logits are divided by a temperature of {self.predictor.temperature:.4f}, which leaves the most probable "
            f"class as it is. On {where}, it brought the {' and the '.join(changes)}.",
            "",
        ]

    def interval(self, key: str, value: float) -> Sequence[float] | None:
        """Of `crossfade evaluate`, if it judged these weights by these pictures, else Wilson's of the accuracy."""
        found = self.evaluated.get("metrics", {}).get(key, {})
        same_part = self.evaluated.get("data", {}).get("part") == self.judged["part"]
        if same_part and abs(found.get("value", math.inf) - value) < 1e-6 and "ci95" in found:
            return found["ci95"]
        alone = self.config is None or self.config.group is None  # pictures of a group are no independent evidence
        return _wilson(value, self.pictures) if key == "accuracy" and alone else None

    def data(self) -> list[str]:
        if not self.parts:
            return []
        classes = self.predictor.classes
        lines = ["## Data", "", f"| class | {' | '.join(self.parts)} |", f"|---|{'---|' * len(self.parts)}"]
        for name in classes[:MOST_CLASSES]:
            lines.append(f"| {plain(name)} | {' | '.join(f'{part.get(name, 0):,}' for part in self.parts.values())} |")
        if len(classes) > MOST_CLASSES:
            lines.append(f"| {len(classes) - MOST_CLASSES:,} more | {' | '.join('' for _ in self.parts)} |")
        lines.append(f"| all | {' | '.join(f'{sum(part.values()):,}' for part in self.parts.values())} |")
        refused, leaks = len(self.record.get("refused", [])), len(self.record.get("leaks", []))
        notes = [f"{refused:,} files were refused and left out."] if refused else []
        if leaks:
            notes.append(
                f"{leaks:,} pictures, or groups of them, are in more than one part, which flatters the results."
            )
        return [*lines, "", *notes, *[""] * bool(notes)]

    def training(self) -> list[str]:
        config = self.config
        if config is None:
            return []
        rows = {
            "first weights": "timm's published ones"
            if config.pretrained
            else "from a file"
            if config.weights
            else "random",
            "mixing": config.mix + (f", alpha {config.alpha:g}" if config.alpha is not None else ""),
            "augmentation": config.augment
            if isinstance(config.augment, str)
            else "a table of its own, see config.json",
            "epochs": config.epochs,
            "batch size": config.batch_size,
            "optimiser": config.optimizer,
            "learning rate": f"the default of {config.optimizer}" if config.lr is None else f"{config.lr:g}",
            "schedule": config.schedule,
            "label smoothing": f"{config.label_smoothing:g}",
            "seed": config.seed,
            "precision of training": self.environment.get("precision"),
            "device": self.environment.get("device"),
            "seconds": round(self.summary["seconds"], 1) if "seconds" in self.summary else None,
        }
        lines = [f"| {key} | {plain(value)} |" for key, value in rows.items() if value is not None]
        return ["## Training", "", "| | |", "|---|---|", *lines, ""]

    def limits(self) -> list[str]:
        points = [
            f"It knows {len(self.predictor.classes):,} classes, and names one of them for any picture whatever.",
            "It is as good as said above on pictures like those. On others, of another camera or place, nobody looked.",
        ]
        config = self.config
        patience, schedule = (None, None) if config is None else (config.patience, config.schedule)
        if note := flattery(self.judged, patience, schedule):
            points.append(f"{note[0].upper()}{note[1:]}.")
        if self.pictures and self.pictures < 1000:
            points.append(f"{self.pictures:,} pictures are few to judge by; mind the interval.")
        return ["## Limits", "", *(f"- {point}" for point in points), ""]


def plain(text: Any) -> str:
    """Text in which Markdown and HTML find nothing to do."""
    line = " ".join(str(text).encode("utf-8", "backslashreplace").decode().split())
    line = "".join(c for c in line if c.isprintable())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~$!(){}])", r"\\\1", line)


def _yaml(value: Any) -> str:
    """JSON, but for what it writes as two halves of a character (an emoji, say), which YAML does not put together."""
    halves = r"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}"
    return re.sub(halves, lambda pair: str(json.loads(f'"{pair[0]}"')), json.dumps(value))


def _number(key: str, value: float) -> str:
    return f"{100 * value:.2f}%" if key in ("accuracy", "top5") else f"{value:.4f}"


def _wilson(share: float, n: int) -> Sequence[float] | None:
    """The 95 % interval of a share of n.

    Source:
        Wilson 1927, Probable inference, the law of succession, and statistical inference.
    """
    if n == 0:
        return None
    middle = share + Z95**2 / (2 * n)
    half = Z95 * (share * (1 - share) / n + (Z95 / (2 * n)) ** 2) ** 0.5
    return [max(0.0, (middle - half) / (1 + Z95**2 / n)), min(1.0, (middle + half) / (1 + Z95**2 / n))]


def _judged(summary: Mapping[str, Any], epoch: str | None) -> dict[str, Any]:
    """The scores of the weights at hand, which need not be those that the run was judged by."""
    judged = summary.get("judged", {})
    if epoch is not None and judged.get("epoch") != epoch:
        judged = {"part": "val", "epoch": epoch, **summary.get("val" if epoch == "best" else "last", {})}
    return judged if judged.get("part") in _PARTS else {}


def _config(run: Path) -> RunConfig | None:
    try:
        return resolve(read_toml(run / "config.toml", "export"), {})
    except ConfigError:
        return None
