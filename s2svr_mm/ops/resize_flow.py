# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Flow at another resolution, its values scaled with the size."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def resize_flow(flow: Tensor, size: Sequence[int]) -> Tensor:
    """Resize a flow between frames whose corner pixels coincide, as the official S2SVR does.

    Args:
        flow (Tensor): (n, 2, h, w), pixels, x first.
        size (Sequence[int]): New height and width.

    Returns:
        Tensor: (n, 2, h, w) of the new size, in its pixels.
    """
    resized = F.interpolate(flow, tuple(size), mode='bilinear', align_corners=True)
    return _scale_values(resized, flow)


def rescale_flow(
    flow: Tensor, size: Sequence[int], visible: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """Resize a flow between frames that show the same field of view.

    A frame and its downsampled version relate like that: one pixel covers several. So the flow of
    a smaller frame is the mean over what each pixel covers, of visible pixels alone; that of a
    larger one is interpolated.

    Args:
        flow (Tensor): (n, 2, h, w), pixels, x first.
        size (Sequence[int]): New height and width.
        visible (Tensor, optional): (n, 1, h, w), 1 where the flow is valid. Defaults to None.

    Returns:
        tuple[Tensor, Tensor | None]: The flow (n, 2, h, w) in pixels of the new size, and the
        share of each of its pixels that is visible, (n, 1, h, w).
    """
    smaller = size[0] <= flow.shape[-2] and size[1] <= flow.shape[-1]
    mode = dict(mode='area') if smaller else dict(mode='bilinear', align_corners=False)

    def resize(x: Tensor) -> Tensor:
        return F.interpolate(x, tuple(size), **mode)

    if visible is None:
        return _scale_values(resize(flow), flow), None
    share = resize(visible)
    return _scale_values(resize(flow * visible) / share.clamp_min(1e-6), flow), share


def _scale_values(resized: Tensor, flow: Tensor) -> Tensor:
    (h, w), (new_h, new_w) = flow.shape[-2:], resized.shape[-2:]
    x, y = resized.split(1, dim=1)
    return torch.cat((x * (new_w / w), y * (new_h / h)), dim=1)
