"""Collate inside a DataLoader: the same batches for any number of workers, and never the same plan twice."""

from __future__ import annotations

import itertools
import os
from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, default_collate

import crossfade as cf
from crossfade.torch import Collate

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

SAMPLES, BATCH, CLASSES = 22, 4, 5


class Numbers(Dataset):
    """Sample i is a picture of the number i; its class, i modulo 5."""

    def __len__(self):
        return SAMPLES

    def __getitem__(self, i):
        return torch.full((1, 6, 7), float(i)), i % CLASSES


def collate(**options) -> Collate:
    return Collate(**({"policy": cf.MixUp(1.0), "num_classes": CLASSES, "seed": 0, "rank": 0} | options))


def loader(with_collate: Collate, workers: int = 0, **options) -> DataLoader:
    return DataLoader(Numbers(), batch_size=BATCH, collate_fn=with_collate, num_workers=workers, **options)


def one_epoch(batches) -> list[tuple]:
    """All batches of an epoch in a form that compares: images, targets."""
    return [(tuple(images.flatten().tolist()), tuple(targets.flatten().tolist())) for images, targets in batches]


def epochs(count: int, *, announce=True, workers=0, seed=0, rank=0, **options) -> list[list[tuple]]:
    mixing = collate(seed=seed, rank=rank)
    batches, seen = loader(mixing, workers, **options), []
    for epoch in range(count):
        if announce:
            mixing.set_epoch(epoch)
        seen.append(one_epoch(batches))
    return seen


def fingerprints(seen: list[list[tuple]]) -> list[tuple]:
    """Of each full batch, whatever samples it holds, how they are mixed. Equal plans have equal prints."""
    prints = []
    for images, _ in itertools.chain(*seen):
        pixels = np.array(images).reshape(-1, 42)[:, 0]
        if len(pixels) == BATCH:
            prints.append(tuple(np.round(pixels - BATCH * np.floor(pixels.mean() / BATCH), 4)))
    return prints


WAYS = [(1, False), (3, False), (1, True), (3, True)]


@pytest.mark.parametrize(("workers", "persistent"), WAYS)
def test_batches_do_not_depend_on_workers(workers, persistent):
    assert epochs(3, workers=workers, persistent_workers=persistent) == epochs(3)


def test_batches_are_mixed_as_their_plans_say():
    """Labels and pixels tell the same story, the ragged last batch too."""
    seen = epochs(1)[0]
    assert len(seen) == 6
    for step, (images, targets) in enumerate(seen):
        samples = np.arange(step * BATCH, min(step * BATCH + BATCH, SAMPLES))
        pixels, weights = np.array(images).reshape(len(samples), 42), np.array(targets).reshape(len(samples), CLASSES)
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
        assert np.ptp(pixels, axis=1).max() == 0
        for i, sample in enumerate(samples):
            numbers = weights[i] @ [next((s for s in samples if s % CLASSES == c), 0) for c in range(CLASSES)]
            np.testing.assert_allclose(pixels[i, 0], numbers, atol=1e-4)
            assert weights[i, sample % CLASSES] > 0


def test_it_is_policy_plan_mix():
    """Through the public functions, from the documented stream."""
    samples = [Numbers()[i] for i in range(4)]
    mixing = collate(policy=cf.CutMix())
    mixing.set_epoch(2)
    images, targets = mixing(samples)
    assert (images.shape, targets.shape, targets.dtype) == ((4, 1, 6, 7), (4, CLASSES), torch.float32)
    shares = torch.stack([(images[i] == i).float().mean() for i in range(4)])
    torch.testing.assert_close(shares, targets[range(4), range(4)])


def test_no_plan_is_drawn_twice_over_epochs_workers_and_ranks():
    seen = [epoch for rank in range(2) for seed in range(2) for epoch in epochs(2, workers=3, rank=rank, seed=seed)]
    assert len(fingerprints(seen)) == 8 * 5
    assert Counter(fingerprints(seen)).most_common(1)[0][1] == 1


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), *WAYS[1:]])
def test_epochs_that_were_never_announced_differ_too(workers, persistent):
    prints = fingerprints(epochs(3, announce=False, workers=workers, persistent_workers=persistent))
    assert len(prints) == 15
    assert len(set(prints)) == 15


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (2, False), (2, True)])
def test_one_announcement_for_two_epochs_is_not_the_same_epoch_twice(workers, persistent):
    """lightning#20412."""
    mixing = collate()
    mixing.set_epoch(0)
    batches = loader(mixing, workers, persistent_workers=persistent)
    prints = fingerprints([one_epoch(batches), one_epoch(batches)])
    assert len(set(prints)) == len(prints) == 10


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (2, False), (2, True)])
def test_the_same_epoch_announced_again_is_the_same(workers, persistent):
    """A resume: epoch 1 after a restart, or again."""
    mixing = collate()
    batches = loader(mixing, workers, persistent_workers=persistent)
    seen = []
    for epoch in (1, 0, 1):
        mixing.set_epoch(epoch)
        seen.append(one_epoch(batches))
    assert seen[0] == seen[2] == epochs(2)[1]
    mixing.set_epoch(1)
    assert one_epoch(batches) == seen[0]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loop_left_early_does_not_shift_the_next_epoch(workers):
    mixing = collate()
    batches = loader(mixing, workers)
    mixing.set_epoch(0)
    for _ in zip(range(1), batches, strict=False):
        pass
    mixing.set_epoch(1)
    assert one_epoch(batches) == epochs(2)[1]


def test_ranks_see_other_plans():
    a, b = (fingerprints(epochs(1, rank=rank)) for rank in (0, 1))
    assert not set(a) & set(b)


def test_the_rank_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert Collate(cf.MixUp(), CLASSES, 0).rank == 1
    monkeypatch.delenv("RANK")
    assert Collate(cf.MixUp(), CLASSES, 0).rank == 0


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed")
def test_or_from_torch_distributed(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 3)
    assert Collate(cf.MixUp(), CLASSES, 0).rank == 3


def test_dropped_and_shuffled_batches_work():
    mixing = collate()
    generator = torch.Generator().manual_seed(0)
    assert len(one_epoch(loader(mixing, 1, shuffle=True, drop_last=True, generator=generator))) == 5


def test_one_sample_is_left_as_it_is():
    mixing = collate(policy=cf.OneOf([cf.MixUp(1.0), cf.CutMix()]))
    images, targets = mixing([(torch.rand(3, 5, 5), 2)])
    np.testing.assert_allclose(targets, np.eye(CLASSES)[[2]])
    assert images.shape == (1, 3, 5, 5)


def test_class_rules_see_the_labels():
    mixing = collate(policy=cf.MixUp(1.0, partner="same_class"))
    _, targets = mixing([(torch.rand(1, 5, 5), i % 2) for i in range(6)])
    np.testing.assert_allclose(targets, np.eye(CLASSES)[[0, 1] * 3])


def test_a_collate_of_ones_own_and_bytes_and_soft_labels():
    def bytes_and_soft(samples):
        images, labels = default_collate(samples)
        return images.to(torch.uint8), torch.eye(CLASSES)[labels]

    images, targets = collate(collate=bytes_and_soft)([Numbers()[i] for i in range(4)])
    assert images.dtype == torch.uint8
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_however_workers_are_started(method):
    """Announcements reach spawned workers as well."""
    if method == "fork" and not hasattr(os, "fork"):
        pytest.skip("no fork here")
    got = epochs(2, workers=1, multiprocessing_context=method, persistent_workers=True)
    assert got == epochs(2)


def test_gradients_and_threads_inside_a_worker():
    """A worker forked from a process that has mixed in threads does not hang."""
    cf.MixUp()(np.zeros((64, 64, 64, 3), np.float32), np.zeros(64, int), rng=0, num_classes=1)
    assert epochs(1, workers=2) == epochs(1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"policy": "mixup"}, "needs a policy, such as crossfade.MixUp"),
        ({"num_classes": 0}, "num_classes must be a whole number from 1 on. Got 0"),
        ({"num_classes": 2.5}, "num_classes must be a whole number"),
        ({"seed": -1}, "seed is a whole number"),
        ({"seed": "a"}, "seed is a whole number"),
    ],
)
def test_what_is_refused_before_any_worker_starts(options, sentence):
    with pytest.raises(cf.ConfigError, match=sentence):
        collate(**options)


def test_the_number_of_classes_may_come_from_numpy():
    assert collate(num_classes=np.array([0, 4]).max() + 1).num_classes == 5


@pytest.mark.parametrize("epoch", [-1, 1.5, "1", True, None])
def test_what_is_no_epoch(epoch):
    with pytest.raises(cf.ConfigError, match="epochs are whole numbers from 0 on"):
        collate().set_epoch(epoch)


def test_labels_outside_the_classes_are_named():
    with pytest.raises(cf.LabelError, match=r"labels must be in 0..1. Got 0..3"):
        collate(num_classes=2)([Numbers()[i] for i in range(4)])
