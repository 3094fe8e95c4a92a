# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Functions of single frames applied to several frames at once."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor


def max_pixels(device: torch.device) -> int:
    """Return the number of pixels that one call should handle.

    More make a convolution no faster and cost memory: on a CPU, pages that the system clears anew
    at each call. Fewer leave a GPU idle between calls.

    Args:
        device (torch.device): Where the frames are.

    Returns:
        int: The number of pixels.
    """
    return 2**16 if device.type == 'cpu' else 2**18


def in_chunks(
    function: Callable[..., Tensor | Sequence[Tensor]],
    *sequences: Sequence[Tensor],
    pixels: int | None = None,
) -> Iterator:
    """Apply a function to batches of several frames; yield the frames' results in order.

    A chunk is computed only when its first result is requested, so that what a recurrence has
    consumed can be freed before.

    Args:
        function (Callable): Takes one batch (k * n, c, h, w) from each sequence; returns a
            tensor, or several, whose first dimension is that of the batch.
        sequences (Sequence[Tensor]): t tensors (n, c, h, w) each.
        pixels (int, optional): Pixels that count for one frame of a sequence, where that is not
            n * h * w of the first one. Defaults to None.

    Yields:
        Tensor | tuple[Tensor, ...]: The function's result for one frame.
    """
    first = sequences[0][0]
    n = first.shape[0]
    step = max(1, max_pixels(first.device) // (pixels or n * first.shape[2] * first.shape[3]))
    for start in range(0, len(sequences[0]), step):
        chunk = [sequence[start : start + step] for sequence in sequences]
        result = function(*(c[0] if len(c) == 1 else torch.cat(list(c)) for c in chunk))
        if isinstance(result, Tensor):
            parts = iter(result.split(n))
        else:
            parts = zip(*(r.split(n) for r in result), strict=True)
        # No reference to finished results may remain while the next chunk is computed.
        del chunk, result
        yield from parts
        del parts
