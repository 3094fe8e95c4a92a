# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Pairs of frames made by a motion field that is drawn, so that their flow is known."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import DataError


@torch.no_grad()
def synthetic_pair(
    frames: Tensor,
    max_motion: float,
    longest: float | None = None,
    max_layers: int = 4,
    variation: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Make pairs from single frames: layers of real texture that move by random fields.

    The supporting frame is a background with some blobs of other frames on it; in the reference
    frame each layer is sampled along a field of its own, a translation plus an affine and a smooth
    part. The flow of the reference frame is then exactly that of its topmost layer, hidden pixels
    and motion boundaries included, and no label was used. Brightness, contrast, gamma and noise
    differ a little between the two.

    Args:
        frames (Tensor): (n, 3, h, w), RGB in [0, 1].
        max_motion (float): Pairs are cropped by as many pixels on each side, so that nothing moves
            in from outside.
        longest (float, optional): Longest vector in pixels, at most ``max_motion``. Defaults to
            None (``max_motion``).
        max_layers (int): Most layers, the background among them. Defaults to 4.
        variation (float): How much brightness, contrast, gamma and noise differ: 1 stands for
            standard deviations of 2 %, 10 %, 10 % and 1 %; neighbours in a video differ by a tenth
            of that. Defaults to 1.0.

    Returns:
        tuple[Tensor, Tensor, Tensor]: Reference and supporting frames, (n, 3, h - 2m, w - 2m)
        with m = ``max_motion`` rounded up, and the flow of the reference frames,
        (n, 2, h - 2m, w - 2m).

    Raises:
        DataError: If the frames are not larger than twice ``max_motion``.
    """
    margin = math.ceil(max_motion)
    h, w = frames.shape[-2:]
    if min(h, w) <= 2 * margin:
        raise DataError(
            f'Frames of {w}x{h} are too small for motion of {max_motion} pixels: both sides must '
            f'exceed {2 * margin}. Take larger crops or a smaller max_motion.'
        )
    ref, supp, flow = frames, frames, frames.new_zeros(len(frames), 2, h, w)
    for layer in range(int(torch.randint(max_layers, ()).item()) + 1):
        field = random_field(frames, max_motion if longest is None else longest)
        if layer == 0:
            ref, flow = _sample(frames, field), field
            continue
        texture = frames.roll(layer, 0).flip(-1)
        blob = _random_blob(frames)
        alpha, moved = _opacity(blob), _opacity(_sample(blob, field))
        supp = torch.lerp(supp, texture, alpha)
        ref = torch.lerp(ref, _sample(texture, field), moved)
        flow = torch.where(moved > 0.5, field, flow)
    inner = (..., slice(margin, h - margin), slice(margin, w - margin))
    return _vary(ref[inner], variation), _vary(supp[inner], variation), flow[inner]


def random_field(frames: Tensor, longest: float) -> Tensor:
    """Draw a motion field for each frame: translation, affine part and smooth part.

    Args:
        frames (Tensor): (n, c, h, w), for size, type and device.
        longest (float): No vector is longer, in pixels.

    Returns:
        Tensor: (n, 2, h, w), pixels, x first.
    """
    n, _, h, w = frames.shape

    def normal(*size: int) -> Tensor:
        return torch.randn(n, *size, device=frames.device, dtype=frames.dtype)

    # Half of the fields are short, so that small motion is not forgotten for large.
    length = longest * torch.rand(n, 1, 1, 1, device=frames.device, dtype=frames.dtype) ** 1.5
    y = torch.linspace(-1, 1, h, device=frames.device, dtype=frames.dtype).expand(w, h).T
    x = torch.linspace(-1, 1, w, device=frames.device, dtype=frames.dtype).expand(h, w)
    affine = torch.einsum('nij,jhw->nihw', normal(2, 2), torch.stack((x, y)))
    knots = int(torch.randint(3, 8, ()).item())
    smooth = F.interpolate(normal(2, knots, knots), (h, w), mode='bicubic', align_corners=True)
    parts = (normal(2, 1, 1), affine, smooth)
    weights = (0.7, 0.2, 0.15)
    field = length * sum(weight * part for weight, part in zip(weights, parts, strict=True))
    norm = field.square().sum(1, keepdim=True).sqrt()
    return field * (longest / norm.clamp_min(longest))


def _random_blob(frames: Tensor) -> Tensor:
    """Return a smooth map, above 0 in a fifth to two fifths of each frame."""
    n, _, h, w = frames.shape
    knots = int(torch.randint(3, 9, ()).item())
    noise = torch.randn(n, 1, knots, knots, device=frames.device, dtype=frames.dtype)
    noise = F.interpolate(noise, (h, w), mode='bicubic', align_corners=True)
    share = 0.6 + 0.2 * torch.rand((), device=frames.device, dtype=frames.dtype)
    return noise - noise.flatten(1).quantile(share, dim=1).view(n, 1, 1, 1)


def _opacity(blob: Tensor) -> Tensor:
    """1 inside a blob, 0 outside, with an edge of about a pixel."""
    slope = torch.hypot(*torch.gradient(blob, dim=(2, 3)))
    return (0.5 + blob / slope.clamp_min(1e-3)).clamp(0, 1)


def _sample(x: Tensor, field: Tensor) -> Tensor:
    """Sample maps along a field with a bicubic kernel, which blurs less than a bilinear one."""
    h, w = x.shape[-2:]
    px = field[:, 0] + torch.arange(w, device=x.device, dtype=x.dtype)
    py = field[:, 1] + torch.arange(h, device=x.device, dtype=x.dtype)[:, None]
    grid = torch.stack((2 * px / (w - 1) - 1, 2 * py / (h - 1) - 1), -1)
    return F.grid_sample(x, grid, mode='bicubic', padding_mode='border', align_corners=True)


def _vary(frames: Tensor, variation: float) -> Tensor:
    """Change gamma, contrast, brightness and add noise, differently for each frame."""
    if not variation:
        return frames
    n = len(frames)

    def draw(scale: float) -> Tensor:
        normal = torch.randn(n, 1, 1, 1, device=frames.device, dtype=frames.dtype)
        return variation * scale * normal

    gamma, contrast, brightness, noise = draw(0.1).exp(), draw(0.1).exp(), draw(0.02), draw(0.01)
    varied = frames.clamp(0, 1) ** gamma * contrast + brightness
    return (varied + noise * torch.randn_like(frames)).clamp(0, 1)
