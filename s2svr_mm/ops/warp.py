# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Sampling feature maps along optical flow."""

from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

PADDING_MODES = ('zeros', 'border')
# An embedding bag beats F.grid_sample on these devices, for maps of at least so many channels.
_BAG_DEVICES = ('cpu',)
_MIN_BAG_CHANNELS = 5


class FlowSampler:
    """Bilinear sampling along one flow, prepared once and applied to any number of maps.

    Equals ``F.grid_sample`` on the grid that ``flow`` points to. The
    coordinates stay in float32 whatever the type of the maps: in bfloat16 they would be off by
    whole pixels.

    On a CPU the four neighbours of every pixel are rows of a (h * w, c) table, and their weighted
    sum is an embedding bag. For maps of many channels that is several times faster than
    ``F.grid_sample``, forwards and backwards: it reads channels_last maps as they lie in memory.
    Frames, whose few channels do not pay for the table, maps elsewhere, and those in a graph that
    is exported to ONNX are sampled by ``F.grid_sample``. What either needs is prepared by the first
    call that needs it, in that call's gradient mode.

    Args:
        flow (Tensor): (n, 2, h, w), pixels, x first. The result at pixel p is the map at
            p + flow(p).
        padding_mode (str): What lies outside the map: ``'zeros'``, or ``'border'`` for its
            nearest pixel. Defaults to ``'zeros'``.

    Raises:
        ValueError: If ``flow`` is no flow or ``padding_mode`` is unknown.
    """

    def __init__(self, flow: Tensor, padding_mode: str = 'zeros') -> None:
        if flow.ndim != 4 or flow.shape[1] != 2:
            raise ValueError(f'A flow has the shape (n, 2, h, w), but got {tuple(flow.shape)}.')
        if padding_mode not in PADDING_MODES:
            raise ValueError(f'padding_mode must be in {PADDING_MODES}, but got {padding_mode!r}.')
        n, _, h, w = flow.shape
        self.size = (n, h, w)
        self._padding_mode = padding_mode
        self._may_use_bags = flow.device.type in _BAG_DEVICES and not torch.onnx.is_in_onnx_export()
        flow = flow if flow.dtype == torch.float64 else flow.float()
        self._x = flow[:, 0] + torch.arange(w, device=flow.device, dtype=flow.dtype)
        self._y = flow[:, 1] + torch.arange(h, device=flow.device, dtype=flow.dtype)[:, None]

    @cached_property
    def _taps(self) -> tuple[Tensor, Tensor]:
        x, y = self._x, self._y
        if self._padding_mode == 'border':
            _, h, w = self.size
            x, y = x.clamp(0, w - 1), y.clamp(0, h - 1)
        return _bilinear_taps(x, y)

    @cached_property
    def _grid(self) -> Tensor:
        # From edge to edge, not from corner to corner, which has no scale where a side is 1.
        _, h, w = self.size
        return torch.stack(((2 * self._x + 1) / w - 1, (2 * self._y + 1) / h - 1), dim=-1)

    def __call__(self, x: Tensor) -> Tensor:
        """Sample maps.

        Args:
            x (Tensor): (n, c, h, w), of the size of the flow.

        Returns:
            Tensor: (n, c, h, w), of the type of ``x``.

        Raises:
            ValueError: If the sizes of ``x`` and of the flow differ.
        """
        n, c, h, w = x.shape
        if (n, h, w) != self.size:
            raise ValueError(
                f'The maps to warp are {n} x {h} x {w} (n, h, w), but the flow is '
                f'{" x ".join(map(str, self.size))}.'
            )
        if self._may_use_bags and c >= _MIN_BAG_CHANNELS:
            index, weight = self._taps
            rows = x.permute(0, 2, 3, 1).reshape(n * h * w, c)
            bags = F.embedding_bag(index, rows, mode='sum', per_sample_weights=weight.to(x.dtype))
            return bags.view(n, h, w, c).permute(0, 3, 1, 2)
        sampled = F.grid_sample(
            x.to(self._grid.dtype),
            self._grid,
            padding_mode=self._padding_mode,
            align_corners=False,
        )
        return sampled.to(x.dtype)


def _bilinear_taps(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Find the four neighbours of every point and their weights.

    Args:
        x (Tensor): (n, h, w), columns.
        y (Tensor): (n, h, w), rows.

    Returns:
        tuple[Tensor, Tensor]: Row numbers in a table of n * h * w pixels and weights, both
        (n * h * w, 4). Neighbours outside the map have weight 0; where a coordinate is NaN the
        weights are NaN, so that the result is.
    """
    n, h, w = x.shape
    columns, rows = _linear_taps(x, w), _linear_taps(y, h)
    offsets = torch.arange(n, device=x.device).view(n, 1, 1) * (h * w)
    row_taps = [(offsets + row * w, weight) for row, weight in rows]
    taps = [
        (start + column, y_weight * x_weight)
        for start, y_weight in row_taps
        for column, x_weight in columns
    ]
    index, weight = (torch.stack(part, -1).view(-1, 4) for part in zip(*taps, strict=True))
    return index, weight


def _linear_taps(position: Tensor, length: int) -> list[tuple[Tensor, Tensor]]:
    """Find the two neighbours of every point along one axis.

    Args:
        position (Tensor): (n, h, w), columns or rows.
        length (int): Pixels along that axis.

    Returns:
        list[tuple[Tensor, Tensor]]: For each neighbour its index within the map, int64, and its
        weight, which is 0 where the neighbour lies outside; both (n, h, w).
    """
    low = position.detach().floor()
    weight = position - low
    # A number that is no coordinate must not become an index.
    place = low.nan_to_num().clamp(-2, length).long()
    taps = []
    for neighbour, share in ((place, 1 - weight), (place + 1, weight)):
        kept = neighbour.clamp(0, length - 1)
        taps.append((kept, share * (kept == neighbour)))
    return taps


def warp(x: Tensor, flow: Tensor, padding_mode: str = 'zeros') -> Tensor:
    """Sample maps along a flow, once.

    Args:
        x (Tensor): (n, c, h, w).
        flow (Tensor): (n, 2, h, w), pixels, x first.
        padding_mode (str): See :class:`FlowSampler`. Defaults to ``'zeros'``.

    Returns:
        Tensor: (n, c, h, w).
    """
    return FlowSampler(flow, padding_mode)(x)
