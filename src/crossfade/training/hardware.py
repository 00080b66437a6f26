"""Which device, and which precision pays on it."""

from __future__ import annotations

import torch

from crossfade.errors import ConfigError


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is CUDA where there is one, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device: must be auto, cpu or cuda. Got {name!r}.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device: {name} is not there. Pass device auto or cpu.")
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device: must be auto, cpu or cuda. Got {name!r}.")
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """torch.bfloat16 for autocast, or torch.float32; "auto" asks whether bfloat16 pays."""
    if name == "auto":
        return torch.bfloat16 if bfloat16_pays(device) else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]


def bfloat16_pays(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices faster than float32 ones."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Without matrix tiles or bfloat16 dot products a CPU would only convert back and forth.
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
