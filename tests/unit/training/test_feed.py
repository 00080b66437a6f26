"""What a feed draws for a batch, early as it is gathered or late on the device, and when."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

import crossfade as cf
from crossfade.data.loader import Batch
from crossfade.mixing.registry import policy_from_spec
from crossfade.training.device_feed import DeviceFeed
from crossfade.training.feed import Feed
from crossfade.vision.augment import Augment
from crossfade.vision.normalise import Normalisation

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), dtype=np.uint8)
IDS = np.array([4, 0, 7])
AUGMENT = Augment(rotation=30, brightness=(0.5, 1.5))
CPU = torch.device("cpu")
ORDINARY = Normalisation([0.5] * 3, [0.25] * 3)


class OnDevice(DeviceFeed):
    """Leaves all it can to the device, which here is the host."""

    @property
    def _on_host(self) -> bool:
        return False


def make(kind: type[DeviceFeed], augment: Augment = AUGMENT) -> DeviceFeed:
    return kind(ORDINARY, policy=policy_from_spec("mixup:alpha=1.0"), augment=augment, seed=3, device=CPU)


def shown(feed: DeviceFeed, ids: np.ndarray, epoch: int) -> torch.Tensor:
    batch = Batch(feed.gather(PIXELS, ids, epoch), np.zeros(len(ids), np.int64), ids, epoch, 5)
    return feed.to_device(feed.prepare(batch))[0]


@pytest.mark.parametrize("epoch", [0, 1, 4])
def test_augmentation_is_drawn_for_the_epoch(epoch: int) -> None:
    drawn = AUGMENT.draw(IDS, seed=3, epoch=epoch, size=(8, 8))
    np.testing.assert_array_equal(make(DeviceFeed).gather(PIXELS, IDS, epoch), cf.augment_images(PIXELS[IDS], drawn))


@pytest.mark.parametrize("augment", [AUGMENT, Augment(rotation=30, append=True), Augment()])
def test_a_device_is_shown_what_the_host_is(augment: Augment) -> None:
    ids = np.tile(IDS, 2)
    assert torch.equal(shown(make(OnDevice, augment), ids, 1), shown(make(DeviceFeed, augment), ids, 1))
    assert not torch.equal(shown(make(OnDevice, AUGMENT), ids, 1), shown(make(OnDevice, AUGMENT), ids, 2))


def test_a_policy_knows_how_much_of_the_training_is_done() -> None:
    feed = DeviceFeed(ORDINARY, device=CPU, policy=cf.Until(cf.MixUp(1.0), 0.5), seed=3, epochs=4)
    lambdas = [feed.prepare(Batch(PIXELS[IDS], IDS, IDS, epoch, 0)).plan.lam for epoch in range(4)]
    assert [bool((lam == 1).all()) for lam in lambdas] == [False, False, True, True]


def test_the_host_part_needs_no_torch() -> None:
    code = "import sys, crossfade.training.feed; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_on_the_host_both_feeds_are_one() -> None:
    batch = Batch(PIXELS[IDS], np.zeros(3, np.int64), IDS, 0, 0)
    host = Feed(ORDINARY, policy=policy_from_spec("mixup:alpha=1.0"), augment=AUGMENT, seed=3)
    ours = host.prepare_alone(batch).pixels
    np.testing.assert_array_equal(ours, make(DeviceFeed).prepare_alone(batch).pixels)
