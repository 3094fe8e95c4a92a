# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The process that does one job: ``python -m s2svr_mm.web.worker FOLDER``.

Its progress bar goes to the standard error, which the server reads. It ends when its standard input
does: by the server's wish, or because the server is gone. What is done by then is kept, as after
any interruption.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from ..comparison.clips import paired_clips
from ..comparison.comparison import Comparison
from ..comparison.methods import load_methods
from ..comparison.report import write_comparison
from ..errors import S2SVRError
from ..io.images import to_levels, to_uint8
from ..models.zoo import load_model
from ..restoration.restore_video import restore_video
from ..restoration.restorer import VideoRestorer
from ..restoration.summary import Summary
from ..utils.files import output_folder, write_bytes, write_text
from .jobs import LATEST, OUTCOME, REPORT, SUMMARY, Job, read_job
from .playing import make_playable

# Longest side of the picture of the latest frame.
_LATEST_SIDE = 960


class WatchedRestorer(VideoRestorer):
    """A restorer that leaves a picture of the latest frame, and prints how fast it is.

    The bar of a restoration shows what is encoded: nothing for as long as a window takes, then all
    of it at once, which tells little of the speed.

    Args:
        folder (Path): Where.
        *args: As for :class:`VideoRestorer`.
        **kwargs: As for :class:`VideoRestorer`.
    """

    def __init__(self, folder: Path, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._latest = folder / LATEST

    def restore_windows(self, *args: Any, **kwargs: Any) -> Iterator[np.ndarray]:
        """Restore a stream window by window; see :class:`VideoRestorer`."""
        began, count = time.monotonic(), 0
        for window in super().restore_windows(*args, **kwargs):
            if len(window):
                count += len(window)
                rate = count / (time.monotonic() - began)
                print(f'\nrestored {rate:.4g} frames/s', file=sys.stderr, flush=True)
                write_bytes(self._latest, _small_jpeg(window[-1]))
            yield window


def _small_jpeg(frame: np.ndarray) -> bytes:
    pixels = to_uint8(to_levels(frame))[..., ::-1]
    factor = min(1, _LATEST_SIDE / max(pixels.shape[:2]))
    if factor < 1:
        pixels = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return cv2.imencode('.jpg', pixels)[1].tobytes()


def restore(job: Job, folder: Path) -> dict[str, Any]:
    """Restore a job's video, and prepare input and result to be played.

    Args:
        job (Job): The job.
        folder (Path): Its folder.

    Returns:
        dict: What was done: fields of :class:`.Summary` as plain data, and ``playable``, the names
        of the files to be played.

    Raises:
        S2SVRError: A user error.
    """
    settings, target, record = job.restore_settings, folder / job.result, folder / SUMMARY
    # It has its name only when it is whole, and then there is nothing left to restore.
    if not target.exists():
        arguments = settings.restorer_arguments()
        summary = restore_video(
            job.source,
            target,
            WatchedRestorer(folder, load_model(settings.model), **arguments),
            frames=settings.frames,
            options=settings.output_options(),
            size_change=settings.size_change,
            strict=settings.strict,
        )
        write_text(record, json.dumps(_plain(summary)))
    done: dict[str, Any] = json.loads(record.read_text()) if record.is_file() else {}
    done['playable'] = []
    try:
        resize = settings.size_change == 'scale'
        done['playable'] = make_playable(Path(job.source), target, folder, settings.frames, resize)
    except (S2SVRError, av.FFmpegError) as error:
        done.setdefault('notes', []).append(f'the result cannot be played in the page: {error}')
    return done


def _plain(summary: Summary) -> dict[str, Any]:
    fresh = summary.frames - summary.resumed
    return {
        'frames': summary.frames,
        'resumed': summary.resumed,
        'seconds': round(summary.seconds, 1),
        'rate': round(fresh / summary.restoring, 2) if summary.restoring else None,
        'size': list(summary.output_size),
        'settings': f'{summary.decision} on {summary.device}',
        'memory': summary.host_peak,
        'device_memory': summary.device_peak,
        'encoder': summary.encoder,
        'damage': summary.damage,
        'scenes': len(summary.cuts) + 1,
        'notes': summary.notes,
    }


def report(job: Job, folder: Path) -> dict[str, Any]:
    """Compare a job's network with the ground truth and the baseline; see :func:`restore`."""
    settings, root = job.restore_settings, folder / REPORT
    arguments = settings.restorer_arguments()
    networks = load_methods([[settings.model]], **{**arguments, 'dtype': 'float32', 'size': None})
    clips = paired_clips('video', job.source, job.truth, networks[0].scale, job.truth_frames)
    with output_folder(root):
        comparison = Comparison(root, networks, clips)
        write_comparison(comparison, comparison.run(), f'{job.name}: {settings.model}')
    return {'report': True}


def _end_with_server() -> None:
    """End this process where the server wants that or is gone."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        # All that is finished lies on the disk, under names that say so.
        os._exit(130)

    threading.Thread(target=wait, daemon=True).start()


def main(folder: Path) -> None:
    """Do a job; what came of it is then in its folder."""
    _end_with_server()
    job = read_job(folder)
    try:
        done = (report if job.kind == 'report' else restore)(job, folder)
        outcome = {'state': 'done', 'summary': done}
    except S2SVRError as error:
        outcome = {'state': 'failed', 'message': str(error)}
    write_text(folder / OUTCOME, json.dumps(outcome))


if __name__ == '__main__':
    main(Path(sys.argv[1]))
