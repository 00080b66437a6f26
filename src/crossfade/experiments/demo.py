"""The demonstration's pictures: scikit-learn's handwritten digits, written out as a folder of PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from crossfade.errors import ConfigError, MissingExtra


def write_digits(folder: Path) -> Path:
    """Write 1,797 grey pictures of 8 x 8 pixels as ``folder/<digit>/<number>.png``, unless they are there.

    Source:
        UCI "Optical recognition of handwritten digits" (test part), as bundled with scikit-learn; values 0..16.
    """
    try:
        from PIL import Image
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise MissingExtra(f"demo: needs {error.name}. Run: pip install 'crossfade[workbench]'.") from error
    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    try:
        for number, (picture, digit) in enumerate(zip(pixels, digits.target, strict=True)):
            path = folder / str(digit) / f"{number:04d}.png"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                unfinished = path.with_name(f".{path.name}")
                Image.fromarray(picture).save(unfinished, format="PNG")
                unfinished.replace(path)
    except OSError as error:
        raise ConfigError(f"demo: {folder} cannot be written ({error.strerror}). Run it in another folder.") from error
    return folder
