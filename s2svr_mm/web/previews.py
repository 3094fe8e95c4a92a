# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""A few frames restored at once, and an estimate for the whole video from them."""

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from ..io.clips import open_reader
from ..io.images import encode_png, to_levels, to_uint8
from ..models.zoo import load_model
from ..restoration.checks import checked_range
from ..restoration.planning import Decision, memory_needed
from ..restoration.restorer import VideoRestorer
from ..utils.files import write_bytes
from .offers import RestoreSettings

FRAMES = 5


class Previewer:
    """Restores a few frames of a video in this process, one call at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: tuple[dict[str, Any], VideoRestorer] | None = None
        self._program = 0

    def preview(
        self, source: str, settings: RestoreSettings, at: int, folder: Path
    ) -> dict[str, Any]:
        """Restore some frames and write ``input-0.png``, ``result-0.png`` and so on.

        Args:
            source (str): The video.
            settings (RestoreSettings): How it is restored.
            at (int): Number of the first frame; moved to where enough follow.
            folder (Path): Where the pictures go.

        Returns:
            dict: The numbers ``first`` and ``count`` of the frames, and the estimate for the whole
            video: ``seconds``, ``memory`` and ``device_memory`` (bytes), ``size`` (width and height
            of the result) and ``settings``.

        Raises:
            S2SVRError: It can't be restored.
        """
        with self._lock:
            reader = open_reader(source, strict=settings.strict)
            start, end = checked_range(reader, (settings.first, settings.end))
            whole = (reader.num_frames if end is None else min(end, reader.num_frames)) - start
            first = max(min(at, reader.num_frames - FRAMES), 0)
            frames = [frame.rgb for frame in reader.first_frames(first, None, FRAMES)]
            restorer = self._restorer(settings)
            decision = restorer.decide(frames)
            began = time.monotonic()
            restored = list(restorer.restore(frames, decision))
            seconds = (time.monotonic() - began) / len(frames)
        for number, pair in enumerate(zip(frames, restored, strict=True)):
            for name, frame in zip(('input', 'result'), pair, strict=True):
                content = encode_png(to_uint8(to_levels(frame)))
                write_bytes(folder / f'{name}-{number}.png', content)
        estimate = self._estimate(restorer, decision, frames[0], whole, seconds)
        return {'first': first, 'count': len(frames), **estimate}

    def _restorer(self, settings: RestoreSettings) -> VideoRestorer:
        arguments = {'model': settings.model, **settings.restorer_arguments()}
        if self._kept is None or self._kept[0] != arguments:
            self._kept = None
            network = load_model(settings.model)
            self._kept = arguments, VideoRestorer(network, **settings.restorer_arguments())
            # Later it holds what earlier previews took.
            self._program = self._program or psutil.Process().memory_info().rss
        return self._kept[1]

    def _estimate(
        self,
        restorer: VideoRestorer,
        decision: Decision,
        frame: np.ndarray,
        num_frames: int,
        seconds: float,
    ) -> dict[str, Any]:
        """Estimate the whole video's need from the seconds that a frame took."""
        plan, (height, width) = decision.plan, frame.shape[:2]
        seen = replace(plan, window=min(plan.window, num_frames), overlap=0)
        # Tiles that overlap were measured, windows that do were not.
        again = plan.window / plan.step if num_frames > plan.window else 1
        apart = restorer.device.type != 'cpu'
        near, far = memory_needed(
            seen,
            (height, width),
            restorer.scale,
            frame.itemsize,
            restorer.predictor.cost(decision.dtype, decision.backend),
            apart,
            restorer.output_size(height, width),
        )
        return {
            'seconds': seconds * num_frames * again,
            'memory': self._program + (far if apart else near),
            'device_memory': near if apart else 0,
            'size': list(reversed(restorer.output_size(height, width))),
            'settings': f'{decision} on {restorer.device}',
        }
