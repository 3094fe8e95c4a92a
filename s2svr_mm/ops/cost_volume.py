# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Cost volume: how well each pixel matches the pixels around its place in another frame."""

from functools import cache

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor

# Columns that one matrix product covers. A product of B columns with their B + 2r candidates
# computes (B + 2r) / (2r + 1) times what is kept; 16 is quickest on the sizes of a flow pyramid.
_BLOCK = 16


def cost_volume(ref: Tensor, supp: Tensor, radius: int = 4) -> Tensor:
    """Correlate each pixel of ``ref`` with a square window of ``supp``.

    ``out[:, (dy + r) * (2r + 1) + dx + r, y, x]`` is the mean over the channels of
    ``ref[:, :, y, x] * supp[:, :, y + dy, x + dx]``, 0 outside the frame (PWC-Net, CVPR 2018,
    equation 3).

    On CUDA the correlation operator of mmcv is used if its build has it and it agrees with
    plain torch in a check made once.

    Args:
        ref (Tensor): Reference features, (n, c, h, w).
        supp (Tensor): Supporting features, (n, c, h, w).
        radius (int): Largest displacement r, in pixels of the features. Defaults to 4.

    Returns:
        Tensor: (n, (2r + 1)^2, h, w).

    Raises:
        ValueError: If the shapes differ.
    """
    if ref.shape != supp.shape:
        raise ValueError(
            'The features of both frames must have one shape, but got '
            f'{tuple(ref.shape)} and {tuple(supp.shape)}.'
        )
    if ref.is_cuda and _mmcv_correlation_agrees(ref.device, radius):
        return _cost_volume_mmcv(ref, supp, radius)
    return _cost_volume_torch(ref, supp, radius)


def _cost_volume_torch(ref: Tensor, supp: Tensor, radius: int) -> Tensor:
    """Cost volume from matrix products of blocks of a row with the rows around it.

    Of each product (block x candidates) only a band along the diagonal is wanted: in memory the
    band's rows are one block width plus one apart.
    """
    n, c, h, w = ref.shape
    d = 2 * radius + 1
    if torch.onnx.is_in_onnx_export():
        return _cost_volume_onnx(ref, supp, radius)
    block = min(_BLOCK, w)
    blocks = -(-w // block)
    extra = blocks * block - w
    width = block + 2 * radius
    queries = F.pad(ref, (0, extra)).permute(0, 2, 3, 1).reshape(n, h, blocks, block, c)
    padded = F.pad(supp, (radius, radius + extra, radius, radius)).permute(0, 2, 3, 1)
    candidates = padded.unfold(2, width, block)  # n, h + 2r, blocks, c, width
    rows = []
    for dy in range(d):
        product = (queries @ candidates[:, dy : dy + h]).contiguous()
        band = product.flatten(3).as_strided(
            (n, h, blocks, block, d),
            (h * blocks * block * width, blocks * block * width, block * width, width + 1, 1),
        )
        rows.append(band)
    volume = torch.stack(rows, dim=4).view(n, h, blocks * block, d * d)
    return volume[:, :, :w].permute(0, 3, 1, 2) / c


def _cost_volume_onnx(ref: Tensor, supp: Tensor, radius: int) -> Tensor:
    """As :func:`_cost_volume_torch`, of operations that ONNX has for any size."""
    n, c, h, w = ref.shape
    d = 2 * radius + 1
    block = max(_BLOCK, 2 * radius)
    width = block + 2 * radius
    blocks = (w + block - 1) // block
    extra = blocks * block - w
    queries = F.pad(ref, (0, extra)).permute(0, 2, 3, 1).reshape(n, h, blocks, block, c)
    # A block's candidates are its own columns and the first of the next one.
    padded = F.pad(supp, (radius, block - radius + extra, radius, radius)).permute(0, 2, 1, 3)
    own = padded[..., :-block].reshape(n, h + 2 * radius, c, blocks, block)
    following = padded[..., block:].reshape(n, h + 2 * radius, c, blocks, block)
    candidates = torch.cat((own, following[..., : 2 * radius]), -1).transpose(2, 3)
    rows = []
    for dy in range(d):
        product = queries @ candidates[:, dy : dy + h]
        # In rows that are one element longer, the band along the diagonal stands upright.
        longer = F.pad(product.flatten(3), (0, block))
        rows.append(longer.reshape(n, h, blocks, block, width + 1)[..., :d])
    volume = torch.stack(rows, dim=4).reshape(n, h, blocks * block, d * d)
    return volume[:, :, :w].permute(0, 3, 1, 2) / c


def _cost_volume_mmcv(ref: Tensor, supp: Tensor, radius: int) -> Tensor:
    from mmcv.ops import Correlation

    # The operator knows neither bfloat16 nor autocast.
    with torch.autocast('cuda', enabled=False):
        volume = Correlation(max_displacement=radius)(
            ref.float().contiguous(), supp.float().contiguous()
        )
    return (volume.flatten(1, 2) / ref.shape[1]).to(ref.dtype)


@cache
def _mmcv_correlation_agrees(device: torch.device, radius: int) -> bool:
    """Whether mmcv's operator runs on a device and equals plain torch there."""
    generator = torch.Generator(device).manual_seed(0)
    ref, supp = torch.randn(2, 2, 8, 13, 19, device=device, generator=generator)
    try:
        found = _cost_volume_mmcv(ref, supp, radius)
    except (ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
    else:
        if torch.allclose(found, _cost_volume_torch(ref, supp, radius), atol=1e-4):
            return True
        reason = 'its result differs'
    print_log(f"mmcv's correlation is not used on {device}: {reason}.", logger='current')
    return False
