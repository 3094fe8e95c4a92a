# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Where a network runs, and in which type."""

from contextlib import AbstractContextManager, nullcontext

import torch

from ..errors import ConfigError


def pick_device(device: str | torch.device) -> torch.device:
    """Find the device that 'auto' or a name stands for.

    Raises:
        ConfigError: There is none of that name.
    """
    if device == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(device)
    except RuntimeError as error:
        raise ConfigError(f'there is no device {device!r}') from error
    # Without CUDA that works, GPUs may be counted all the same.
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == 'cuda' and not gpus:
        raise ConfigError(f'{device} was asked for, but torch finds no GPU here')
    if device.type == 'cuda' and (device.index or 0) >= gpus:
        raise ConfigError(f'{device} was asked for, but the last GPU here is cuda:{gpus - 1}')
    return device


def computes_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16, so that it is faster than float32."""
    if device.type == 'cuda':
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def computes_int8() -> bool:
    """Whether the processor has AVX-512 VNNI, instructions for products of 8-bit integers."""
    return torch.cpu._is_vnni_supported()


def has_avx512() -> bool:
    """Whether the processor has AVX-512."""
    return torch.cpu._is_avx512_supported()


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager:
    """Compute in a type: autocast, or nothing for float32."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)
