# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Restore frames to a pipe as they arrive, in bounded memory; such a run cannot be resumed."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import chain, islice
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from ..errors import DataError
from ..io.reader import Frame, Reader
from ..io.y4m import Y4MReader, Y4MWriter
from ..utils.memory import peak_device_memory, peak_host_memory
from .checks import checked_range
from .planning import CHECK_FRAMES
from .restorer import VideoRestorer
from .scene_cuts import mark_cuts
from .summary import Summary
from .threads import BackgroundCalls, Prefetcher

_FRAMES_AHEAD = 4


def restore_stream(
    source: Reader | Y4MReader,
    target: BinaryIO,
    restorer: VideoRestorer,
    frames: tuple[int, int | None] = (0, None),
    pix_fmt: str | None = None,
    progress: bool = True,
) -> Summary:
    """Restore frames and write them as YUV4MPEG2 (y4m).

    Args:
        source (Reader | Y4MReader): Where frames come from.
        target (BinaryIO): The output; it need not be seekable.
        restorer (VideoRestorer): The network with its settings.
        frames (tuple[int, int | None]): First frame and the one after the last; None for the end.
            Defaults to all.
        pix_fmt (str, optional): Pixel format. Defaults to None, that of the source, in 8 or 10
            bits.
        progress (bool): Whether to show a progress bar. Defaults to True.

    Returns:
        Summary: What was done.

    Raises:
        DataError: A frame can't be read, or there is none.
        BrokenPipeError: Whoever reads the output is gone.
    """
    began = time.monotonic()
    following = _frames_of(source, frames)
    first = list(islice(following, CHECK_FRAMES))
    if not first:
        raise DataError(f'{_name(source)} has no frame {frames[0]}')
    decision = restorer.decide([frame.rgb for frame in first])
    height, width = first[0].rgb.shape[:2]
    new_height, new_width = restorer.output_size(height, width)
    writer = Y4MWriter(target, source.info.resized(new_height, new_width), pix_fmt)
    cuts: list[int] = []
    count = 0
    if progress:
        print(f'{decision} on {restorer.device}', file=sys.stderr, flush=True)
    restoring = time.monotonic()
    with ExitStack() as stack:
        bar = stack.enter_context(tqdm(unit='frame', disable=not progress))
        arriving = Prefetcher(chain(first, following), _FRAMES_AHEAD)
        stack.callback(arriving.close)
        written = BackgroundCalls(decision.plan.step)
        stack.callback(written.abandon)
        marked = _marked(arriving, restorer.settings.scene_cuts, cuts)
        for window in restorer.restore_windows(marked, decision):
            for image in window:
                written.add(partial(writer.write, image))
                written.add(bar.update)
            count += len(window)
        written.finish()
    damage = source.damage if isinstance(source, Reader) else None
    told = f'{_name(source)}: {damage}' if damage else None
    incomplete = told if damage is not None and damage.is_incomplete else None
    return Summary(
        outputs=['standard output'],
        frames=count,
        resumed=0,
        seconds=time.monotonic() - began,
        restoring=time.monotonic() - restoring,
        size=(width, height),
        output_size=(new_width, new_height),
        decision=decision,
        device=str(restorer.device),
        host_peak=peak_host_memory(),
        device_peak=peak_device_memory(restorer.device),
        encoder=f'yuv4mpeg, {writer.pix_fmt}',
        cuts=[(cut, float(cut / source.info.rate)) for cut in cuts],
        damage=incomplete,
        notes=[*decision.notes, *([told] if told and not incomplete else [])],
    )


def _frames_of(source: Reader | Y4MReader, frames: tuple[int, int | None]) -> Iterator[Frame]:
    if isinstance(source, Reader):
        return source.iterate(*checked_range(source, frames))
    start, stop = frames
    return islice(source, start, stop)


def _name(source: Reader | Y4MReader) -> str:
    return source.path if isinstance(source, Reader) else source.name


def _marked(
    frames: Iterable[Frame], scene_cuts: bool, cuts: list[int]
) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield frames and whether a scene begins with each; note the cuts."""
    for frame, starts in mark_cuts(frames, lambda frame: frame.rgb, enabled=scene_cuts):
        if starts:
            cuts.append(frame.index)
        yield frame.rgb, starts
