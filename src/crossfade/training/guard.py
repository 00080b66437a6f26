"""The watch over a training's numbers: one that is no longer finite stops it, before a checkpoint holds it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from crossfade.errors import TrainingError
from crossfade.training.feed import Ready

LOOK_EVERY = 50  # steps on an accelerator, where a look waits for the device
_NO_PIXELS = np.zeros(0, np.uint8)


class Guard:
    """Looks at two numbers of each step, its loss and the norm of its gradient, and asks on only if one is not finite.

    A weight or a picture that is not finite shows in the loss. On the CPU both are looked at before the weights are
    changed; elsewhere `LOOK_EVERY` steps at a time, and always before a checkpoint is written.

    Args:
        model: the network that is trained.
        paths: of all pictures of the index, to name them.
        images_of: the images (B, C, H, W) of a batch once more.
        device: that is trained on.
    """

    def __init__(
        self, model: nn.Module, paths: Sequence[str], images_of: Callable[[Ready], Tensor], device: torch.device
    ) -> None:
        self._model, self._paths, self._images_of = model, paths, images_of
        self._parameters = list(model.parameters())
        self._every = 1 if device.type == "cpu" else LOOK_EVERY
        self._waiting: list[tuple[Tensor, Tensor, Ready]] = []

    def look(self, loss: Tensor, ready: Ready) -> Tensor:
        """After the backward pass and before the step; returns the norm of the whole gradient.

        Raises:
            TrainingError: something is not finite; says what, where, and what may help.
        """
        norm = nn.utils.get_total_norm([p.grad for p in self._parameters if p.grad is not None])
        if self._every == 1:
            self._judge(float(loss), float(norm), ready)
        else:
            self._waiting.append((loss, norm, replace(ready, pixels=_NO_PIXELS)))
            if len(self._waiting) >= self._every:
                self.check()
        return norm

    def check(self) -> None:
        """Look at all steps that were not looked at yet; raises as `look`."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        pairs = torch.stack([torch.stack((loss, norm.to(loss.dtype))) for loss, norm, _ in waiting]).tolist()
        for (loss, norm), (_, _, ready) in zip(pairs, waiting, strict=True):
            self._judge(loss, norm, ready)

    def _judge(self, loss: float, norm: float, ready: Ready) -> None:
        """Where a number is not finite, which one: the first of picture, weight, loss and gradient, cause by cause."""
        if math.isfinite(loss) and math.isfinite(norm):
            return
        if not math.isfinite(loss):
            self._ask_pictures(ready)
            if self._every == 1:  # elsewhere the weights have gone on since
                _complain(ready, self._paths, _odd("weight", dict(self._model.state_dict())))
            _complain(ready, self._paths, f"a loss of {loss}")
        gradients = {name: p.grad for name, p in self._model.named_parameters() if p.grad is not None}
        found = _odd("gradient", gradients)
        if self._every > 1:
            found = found or "a gradient that is not finite"
        _complain(ready, self._paths, found)  # none: large numbers, all finite, whose squares are too much for float32

    def _ask_pictures(self, ready: Ready) -> None:
        bad = ~self._images_of(ready).isfinite().flatten(1).all(1)
        if bad.any():
            touched = np.unique(ready.ids[bad.cpu().numpy()])
            names = _some([self._paths[number] for number in touched.tolist()])
            _complain(
                ready,
                self._paths,
                f"a number that is not finite in the picture {names}, as it is shown to the network",
                "Look at it with crossfade preview, or change what [preprocess] does to it.",
            )


def check_finite(tensors: Mapping[str, Tensor], what: str = "weight") -> None:
    """Before they are saved: raise TrainingError that names the first tensor that is not finite."""
    if found := _odd(what, tensors):
        raise TrainingError(
            f"training: every number must stay finite. Got {found}, which was not saved; the last checkpoint stands. "
            "Lower the learning rate, or set clip_norm = 1."
        )


def check_logits(logits: Tensor, model: nn.Module) -> None:
    """Before they are judged: raise TrainingError unless all are finite, which names a weight if it is one's fault."""
    if not bool(logits.isfinite().all()):
        check_finite(model.state_dict())
        raise TrainingError(
            "training: every number must stay finite. Got logits that are not, of plain pictures and weights that are. "
            "Lower the learning rate, or set clip_norm = 1."
        )


def _odd(what: str, tensors: Mapping[str, Tensor]) -> str:
    """The first tensor that is not finite, in words; empty where all are."""
    floating = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point() and tensor.numel()}
    # A sum is not finite wherever a term is not, and takes a tenth of the time of a look at each number.
    sums = torch.stack([tensor.sum(dtype=torch.float64) for tensor in floating.values()]).tolist() if floating else []
    for name, total in zip(floating, sums, strict=True):
        if not math.isfinite(total):
            values = floating[name]
            if len(bad := values[~values.isfinite()]):
                return f"{float(bad[0])} in the {what} {name}"
    return ""


def _complain(
    ready: Ready, paths: Sequence[str], found: str, advice: str = "Lower the learning rate, or set clip_norm = 1."
) -> None:
    if found:
        names = _some([paths[number] for number in ready.ids.tolist()])
        raise TrainingError(
            f"training: every number must stay finite. Got {found}, in epoch {ready.epoch + 1}, "
            f"step {ready.step + 1}, batch of {len(ready.ids)} pictures ({names}). {advice}"
        )


def _some(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
