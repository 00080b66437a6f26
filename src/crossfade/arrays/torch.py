"""Executing a plan on PyTorch tensors.

On the CPU the fused kernels run on the tensor's own memory. Everywhere else (a GPU, half precision, a tensor that
needs a gradient) the plan's few numbers travel to the device and its boxes are rasterised there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from crossfade.arrays import numpy as host
from crossfade.arrays import whole
from crossfade.arrays.augment import DrawnAugmentation
from crossfade.arrays.augment import augment as augment_batch
from crossfade.arrays.backend import Layout
from crossfade.arrays.ops import Ops
from crossfade.memory import buffers
from crossfade.mixing.plan import Plan

Tensor = torch.Tensor
TRACES = False
where = host.where
is_concrete = host.is_concrete


class TorchOps:
    """`crossfade.arrays.ops.Ops`."""

    def __init__(self) -> None:
        self.where, self.clip, self.round, self.floor = torch.where, torch.clip, torch.round, torch.floor
        self.reshape, self.sum, self.amin, self.amax = torch.reshape, torch.sum, torch.amin, torch.amax

    def wide(self) -> str:
        return "float64"

    def whole(self) -> str:
        return "int64"

    def like(self, values: NDArray[Any], beside: Tensor) -> Tensor:
        return _on(values, beside.device)

    def span(self, count: int, beside: Tensor) -> Tensor:
        return torch.arange(count, dtype=torch.int32, device=beside.device)

    def count(self, array: Tensor) -> int:
        return len(array)

    def dtype_name(self, array: Tensor) -> str:
        return dtype_name(array)

    def cast(self, values: Tensor, dtype: str) -> Tensor:
        return values.to(getattr(torch, dtype))

    def take(self, values: Tensor, indices: Tensor) -> Tensor:
        return values[indices.long()]

    def put(self, values: Tensor, indices: Tensor, new: Tensor) -> Tensor:
        values[indices] = new
        return values

    def blend(self, below: Tensor, above: Tensor, a: Tensor, shown: Tensor) -> Tensor:
        above = torch.where(shown, above, 0)
        return torch.where(a == 1, above, torch.where(a == 0, below, (1 - a) * below + a * above))

    def roll(self, pictures: Tensor, down: int, right: int) -> Tensor:
        return pictures.roll((down, right), (1, 2))

    def stack(self, channels: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(channels), dim=-1)

    def cumsum(self, values: Tensor) -> Tensor:
        return values.cumsum(dim=1)

    def bincount(self, values: Tensor, length: int) -> Tensor:
        return torch.bincount(values, minlength=length)


OPS = cast(Ops, TorchOps())


def mix_images(images: Tensor, plan: Plan, layout: Layout, out: Tensor | None) -> Tensor:
    """See `crossfade.mix_images`. Gradients pass through, unless `out` is given."""
    if _runs_on_host(images) and images.dtype in (torch.uint8, torch.float32, torch.float64):
        out = _empty_like(images, images.dtype) if out is None else out
        pixels, target, seen = _dense(images, out, layout)
        host.mix_images(pixels, plan, seen, target)
        return out
    mixed = whole.mix_images(OPS, images, plan, layout)
    mixed = (mixed.round() if images.dtype == torch.uint8 else mixed).to(images.dtype)
    mixed = mixed.clone() if mixed is images else mixed
    return mixed if out is None else out.copy_(mixed)


def render(
    images: Tensor,
    plan: Plan,
    scale: NDArray[np.float32],
    shift: NDArray[np.float32],
    layout: Layout,
    out: Tensor | None,
) -> Tensor:
    """See `crossfade.render`."""
    if _runs_on_host(images):
        out = _empty_like(images, torch.float32) if out is None else out
        pixels, target, seen = _dense(images, out, layout)
        host.render(pixels, plan, scale, shift, seen, target)
        return out
    axes = (slice(None), None, None) if layout == "NCHW" else slice(None)
    scales, shifts = (_on(values, images.device)[axes] for values in (scale, shift))
    normalised = whole.mix_images(OPS, images, plan, layout) * scales + shifts
    return normalised if out is None else out.copy_(normalised)


def augment(images: Tensor, drawn: DrawnAugmentation, layout: Layout) -> Tensor:
    """See `crossfade.augment_images`."""
    if images.device.type == "cpu":
        return torch.from_numpy(host.augment(images.numpy(), drawn, layout))
    pixels = images if layout == "NHWC" else images.permute(0, 2, 3, 1)
    changed = augment_batch(OPS, pixels, drawn)
    return changed if layout == "NHWC" else changed.permute(0, 3, 1, 2).contiguous()


def mix_targets(labels: Tensor, plan: Plan, num_classes: int) -> Tensor:
    """See `crossfade.mix_targets`."""
    own = plan.source[:, :1]
    source = _on(np.where(plan.source >= 0, plan.source, own), labels.device)
    weight = _on(plan.weight, labels.device)
    if labels.ndim == 2:
        return torch.einsum("bk,bkc->bc", weight, labels[source].to(weight.dtype)).to(torch.float32)
    classes = labels.long()[source]
    same = classes[:, :, None] == classes[:, None, :]
    shares = (same * weight[:, None, :]).sum(dim=2).to(torch.float32)
    return torch.zeros(len(plan), num_classes, device=labels.device).scatter_(1, classes, shares)


def mix_masks(masks: Tensor, plan: Plan, layout: Layout | None) -> Tensor:
    """See `crossfade.mix_masks`."""
    numbers = _indexable(masks)
    pixels = numbers[:, None] if layout is None else _channels_first(numbers, layout)
    index = _on(host.mask_sources(plan), masks.device)
    rows = torch.arange(index.shape[1], device=masks.device)[:, None]
    columns = torch.arange(index.shape[2], device=masks.device)
    mixed = pixels.permute(0, 2, 3, 1)[index.clamp(min=0), rows, columns] * (index >= 0)[..., None]
    mixed = mixed.to(masks.dtype).permute(0, 3, 1, 2)
    return mixed[:, 0] if layout is None else _from_channels_first(mixed, layout).contiguous()


def take(labels: Tensor, indices: NDArray[np.int64]) -> Tensor:
    """(B,) or (B, C): ``labels[indices]``."""
    return _indexable(labels)[_on(indices, labels.device)]


def weigh(values: Tensor, weights: NDArray[np.float64]) -> Tensor:
    """(B,): values times weights, in the values' precision, float32 for hits."""
    dtype = values.dtype if values.is_floating_point() else torch.float32
    return values * _on(weights, values.device).to(dtype)


def argmax(scores: Tensor) -> Tensor:
    """(B,) of (B, C)."""
    return scores.argmax(dim=1)


def equal(a: Tensor, b: Tensor) -> Tensor:
    """(B,): where two tensors of class numbers agree."""
    return a == b


def mean(values: Tensor) -> Tensor:
    """A scalar."""
    return values.mean()


def to_host(array: Tensor) -> NDArray[Any]:
    """A NumPy array; waits for the device."""
    array = array.detach().cpu()
    return (array.float() if array.dtype == torch.bfloat16 else array).numpy()


def dtype_name(array: Tensor) -> str:
    """Such as "float32"."""
    return str(array.dtype).removeprefix("torch.")


def overlaps(a: Tensor, b: Tensor) -> bool:
    """Whether the two may share memory: whether the spans they lie in do."""
    if a.device != b.device:
        return False
    (start, end), (other_start, other_end) = _span(a), _span(b)
    return start < other_end and other_start < end


def writable(array: Tensor) -> bool:
    """Whether results can be written into it."""
    return not array.is_inference() or torch.is_inference_mode_enabled()


def _span(array: Tensor) -> tuple[int, int]:
    reach = sum((size - 1) * stride for size, stride in zip(array.shape, array.stride(), strict=True))
    return array.data_ptr(), array.data_ptr() + (reach + 1) * array.element_size()


def _indexable(array: Tensor) -> Tensor:
    """The same numbers in a type that PyTorch can index and promote."""
    return array.long() if array.dtype in (torch.uint16, torch.uint32, torch.uint64) else array


def _runs_on_host(images: Tensor) -> bool:
    return images.device.type == "cpu" and not (images.requires_grad and torch.is_grad_enabled())


def _dense(images: Tensor, out: Tensor, layout: Layout) -> tuple[NDArray[Any], NDArray[Any], Layout]:
    """Both tensors as NumPy arrays in the order in which they lie in memory, and that order's layout."""
    swapped = (0, 2, 3, 1) if layout == "NCHW" else (0, 3, 1, 2)
    if not out.is_contiguous() and out.permute(swapped).is_contiguous():
        images, out = images.permute(swapped), out.permute(swapped)
        layout = "NHWC" if layout == "NCHW" else "NCHW"
    return images.detach().numpy(), out.detach().numpy(), layout


def _empty_like(images: Tensor, dtype: torch.dtype) -> Tensor:
    """A tensor of our own memory, in the same order."""
    shaped = torch.empty_like(images, dtype=dtype, device="meta")
    memory = buffers.empty((shaped.numel(),), str(dtype).removeprefix("torch."))
    return torch.from_numpy(memory).as_strided(shaped.shape, shaped.stride())


def _on(array: NDArray[Any], device: torch.device) -> Tensor:
    """A copy on the device; float64 stays only where the device knows it."""
    tensor = torch.tensor(array)
    if device.type == "mps" and tensor.dtype == torch.float64:
        tensor = tensor.float()
    return tensor.to(device)


def _channels_first(images: Tensor, layout: Layout) -> Tensor:
    return images if layout == "NCHW" else images.permute(0, 3, 1, 2)


def _from_channels_first(images: Tensor, layout: Layout) -> Tensor:
    return images if layout == "NCHW" else images.permute(0, 2, 3, 1)
