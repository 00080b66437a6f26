"""What docs/how-to/jit.md shows runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "jit.md"


def test_the_page_runs():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 2
    names: dict = {}
    for block in blocks:
        exec(block, names)
    assert names["batch"].shape == (8, 24, 24, 3)
    assert names["targets"].shape == (8, 10)
    assert names["mixed"]._cache_size() == 1
