"""Giving a trained run away: as one ONNX graph with the preprocessing inside, or as a plain folder for a hub.

Whatever is written is held against the run on pictures before it takes its place.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from crossfade.errors import MissingExtra

BOUND = 1e-4  # by which no probability may differ


def optional(name: str) -> ModuleType:
    """A module of the extra `export`.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtra(
            f"export: ONNX needs {name}, which is not installed. Run: pip install 'crossfade[export]'."
        ) from error
