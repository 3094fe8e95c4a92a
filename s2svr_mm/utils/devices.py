# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Where a network runs."""

from contextlib import AbstractContextManager

import torch


def pick_device(device: str | torch.device) -> torch.device:
    """The device that 'auto' or a name stands for.

    Raises:
        ValueError: There is none of that name.
    """
    if device == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f'there is no device {device!r}') from error
    if device.type == 'cuda' and not torch.cuda.is_available():
        raise ValueError(f'{device} was asked for, but torch finds no GPU here')
    return device


def computes_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16, so that it is faster than float32."""
    if device.type == 'cuda':
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager:
    """Computation in a type: autocast, or nothing for float32."""
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)
