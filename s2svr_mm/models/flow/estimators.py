# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Optical flow of a clip from any estimator of pairs."""

from collections.abc import Sequence

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ...ops.chunking import in_chunks
from ...ops.resize_flow import resize_flow


def neighbour_flows(
    estimator: nn.Module,
    frames: Sequence[Tensor],
    input_size: tuple[int, int] | int | None = None,
) -> tuple[list[Tensor], list[Tensor]]:
    """Compute the flows between neighbouring frames of a clip, in both directions.

    An estimator that has a ``neighbour_flows`` of its own (as :class:`PWCLite`, which then
    computes the features of each frame once) does it all; of any other, ``forward(ref, supp)`` is
    called on batches of pairs.

    Args:
        estimator (nn.Module): Has ``forward(ref, supp) -> flow`` for pairs of (n, 3, h, w).
        frames (Sequence[Tensor]): t >= 2 frames, (n, 3, h, w), RGB in [0, 1].
        input_size (tuple[int, int] | int, optional): Size (h, w) that the frames are resized to
            (bilinear, corners on corners), and the flows back from; or how many times larger
            than they are. Defaults to None.

    Returns:
        tuple[list[Tensor], list[Tensor]]: For each i, the flow that lives on frame i + 1 and
        samples frame i, and the one that lives on frame i and samples frame i + 1; t - 1 tensors
        each, (n, 2, h, w), in pixels of ``frames``, x first.
    """
    size = frames[0].shape[-2:]
    frames = [resize_input(frame, input_size) for frame in frames]
    of_its_own = getattr(estimator, 'neighbour_flows', None)
    if of_its_own is not None:
        flows = of_its_own(frames)
    else:
        earlier, later = list(frames[:-1]), list(frames[1:])
        both = list(in_chunks(estimator, later + earlier, earlier + later))
        flows = both[: len(later)], both[len(later) :]
    if input_size is not None:
        flows = tuple([resize_flow(flow, size) for flow in direction] for direction in flows)
    return flows


def pair_flows(estimator: nn.Module, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the flows of pairs of frames in both directions.

    Args:
        estimator (nn.Module): As for :func:`neighbour_flows`.
        first (Tensor): First frames, (n, 3, h, w), RGB in [0, 1].
        second (Tensor): Second frames, of the same shape.

    Returns:
        tuple[Tensor, Tensor]: The flow that lives on ``first`` and the one that lives on
        ``second``, (n, 2, h, w), pixels, x first.
    """
    (on_second,), (on_first,) = neighbour_flows(estimator, [first, second])
    return on_first, on_second


def resize_input(frame: Tensor, input_size: tuple[int, int] | int | None) -> Tensor:
    """Resize a frame for an estimator.

    Args:
        frame (Tensor): (n, 3, h, w).
        input_size (tuple[int, int] | int, optional): As for :func:`neighbour_flows`.

    Returns:
        Tensor: The frame of that size; itself if ``input_size`` is None.
    """
    if input_size is None:
        return frame
    if isinstance(input_size, int):
        input_size = (input_size * frame.shape[-2], input_size * frame.shape[-1])
    return F.interpolate(frame, tuple(input_size), mode='bilinear', align_corners=True)
