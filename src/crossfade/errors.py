"""The errors crossfade raises. Each message is a short letter: who, which rule, what came, what to do.

CrossfadeError
├── PlanError (ValueError)       a plan, or the policy that draws it, breaks a rule of its own
├── ArrayError (TypeError)       an array of the wrong kind, shape, dtype or layout
│   └── LabelError (ValueError)  labels that no target can be made of
├── DataError                    the folder of pictures
├── CacheError                   the decoded copy of it
├── CheckpointError              weights on disk
├── ConfigError                  an option, a name, a configuration file, a folder to write into
├── TrainingError                a training that cannot go on
└── MissingExtra (ImportError)   an optional part that is not installed
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


class CrossfadeError(Exception):
    """Anything crossfade refuses or cannot do."""


class PlanError(CrossfadeError, ValueError):
    """A plan, or the policy that draws it, breaks a rule of its own."""


class ArrayError(CrossfadeError, TypeError):
    """An array of the wrong kind, shape, dtype or layout."""


class LabelError(ArrayError, ValueError):
    """Labels that no target can be made of."""


class DataError(CrossfadeError):
    """The folder of pictures cannot be used as it is."""


class CacheError(CrossfadeError):
    """The decoded copy of the pictures cannot be written or read."""


class CheckpointError(CrossfadeError):
    """Weights on disk are damaged, or belong to something else."""


class ConfigError(CrossfadeError):
    """An option, a name, a configuration file or an output folder that cannot be used."""


class TrainingError(CrossfadeError):
    """A training that cannot go on, such as one whose loss is no longer a number."""


class MissingExtra(CrossfadeError, ImportError):
    """An optional part that is not installed; the message holds the pip line."""


def check_known(who: str, what: str, name: str, known: Collection[str], more: str = "") -> None:
    """Raise ConfigError with the nearest names, or all of them, unless `name` is one of `known`."""
    if name not in known:
        from difflib import get_close_matches

        near = get_close_matches(name, known, n=2, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"There are {', '.join(known)}."
        raise ConfigError(f"{who}: no {what} is called {name!r}. {hint}{more}")
