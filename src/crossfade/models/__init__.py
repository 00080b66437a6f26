"""Networks that classify pictures, by name.

    >>> from crossfade.models import build, seeded
    >>> with seeded(0):
    ...     net = build("cnn4", num_classes=10, channels=1, size=8)

Four families of our own (`small.py`, `resnet.py`, `fast.py`, `airbench.py`) and every model of timm (`timm.py`);
`registry.py` turns a name into one of them, `weights.py` fills it from a file.
"""

from crossfade.models.registry import build, names, seeded
from crossfade.models.weights import load_weights

__all__ = ["build", "load_weights", "names", "seeded"]
