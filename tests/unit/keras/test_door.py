"""What `import crossfade.keras` does, and asks for."""

from __future__ import annotations

import subprocess
import sys

WITHOUT = """
import sys
sys.modules["keras"] = None
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "keras" else find(name, *rest)
try:
    import crossfade.keras
except ImportError as error:
    print(type(error).__name__, error)
"""


def _printed(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_without_keras_the_pip_line_is_said():
    assert _printed(WITHOUT) == "MissingExtra crossfade.keras: needs Keras 3. Run: pip install 'crossfade[keras]'."


def test_nothing_of_weight_is_loaded_before_a_name_is_asked_for():
    loaded = "import sys, crossfade.keras; print({'keras', 'torch', 'jax', 'tensorflow'} & set(sys.modules))"
    assert _printed(loaded) == "set()"
