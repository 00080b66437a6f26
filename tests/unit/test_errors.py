"""The error tree, the public names, and what importing them loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import crossfade as cf
from crossfade import errors

TREE = {
    "PlanError": ValueError,
    "ArrayError": TypeError,
    "LabelError": ValueError,
    "DataError": Exception,
    "CacheError": Exception,
    "CheckpointError": Exception,
    "ConfigError": Exception,
    "TrainingError": Exception,
    "MissingExtra": ImportError,
}


def test_public_names():
    assert sorted(cf.__all__) == sorted(
        ["ArrayError", "CacheError", "CheckpointError", "ConfigError", "CrossfadeError", "CutMix", "DataError",
         "LabelError", "MissingExtra", "MixUp", "NoMix", "OneOf", "Plan", "PlanError", "Policy", "Sometimes",
         "TrainingError", "Until", "__version__", "apply", "augment_images", "mix_images", "mix_masks", "mix_targets",
         "mixed_accuracy", "mixed_loss", "render"]
    )  # fmt: skip
    assert dir(cf) == sorted(cf.__all__)


@pytest.mark.parametrize("name", cf.__all__)
def test_every_public_name_is_there_and_documented(name):
    value = getattr(cf, name)
    assert name == "__version__" or value.__doc__


def test_lazy_names_are_the_ones_that_type_checkers_see():
    tree = ast.parse(Path(cf.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {name.name: node.module for node in block.body for name in node.names}
    assert seen == {name: f"crossfade.{home}" for name, home in cf._HOMES.items()}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'Mixup'"):
        cf.Mixup  # noqa: B018


@pytest.mark.parametrize(("name", "builtin"), TREE.items())
def test_the_tree_of_errors(name, builtin):
    error = getattr(errors, name)
    assert issubclass(error, errors.CrossfadeError)
    assert issubclass(error, builtin)
    assert error.__doc__
    assert name in errors.__doc__


def test_labels_are_arrays():
    assert issubclass(errors.LabelError, errors.ArrayError)


def test_every_error_is_in_the_tree():
    defined = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert defined == {*TREE, "CrossfadeError"}


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh Python holds after running `code`."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.split())


HEAVY = {"torch", "numba", "jax", "tensorflow", "keras", "scipy", "sklearn", "skimage", "matplotlib", "PIL", "pandas"}


def test_importing_crossfade_loads_no_framework():
    assert not loaded_by("import crossfade") & HEAVY


def test_drawing_plans_needs_numpy_alone():
    code = """
import crossfade as cf
plan = cf.OneOf([cf.MixUp(), cf.CutMix()], per="sample").plan((4, 8, 8), rng=0)
cf.Plan.from_json(plan.to_json()).describe()
"""
    assert not loaded_by(code) & HEAVY


def test_numpy_arrays_load_no_torch():
    code = """
import numpy as np, crossfade as cf
cf.MixUp()(np.zeros((4, 8, 8, 3), np.uint8), np.arange(4), rng=0, num_classes=4)
"""
    assert "torch" not in loaded_by(code)


def test_an_import_says_which_extra_is_missing():
    code = "import sys; sys.modules['torch'] = None\nimport crossfade.torch"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtra" in done.stderr
    assert "pip install 'crossfade[torch]'" in done.stderr


def test_without_numba_everything_still_works():
    code = """
import sys; sys.modules['numba'] = None
import numpy as np, crossfade as cf
images = np.arange(4 * 8 * 8 * 3, dtype=np.uint8).reshape(4, 8, 8, 3)
plan = cf.CutMix().plan((4, 8, 8), rng=0)
assert (cf.mix_images(images, plan)[:, 0, 0] == images[plan.source[range(4), plan.dominant()[:, 0, 0]], 0, 0]).all()
cf.render(images, plan, mean=0.5, std=0.5)
"""
    assert "crossfade.arrays.numpy" in loaded_by(code)
