# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Video and raw YUV files for the data tests."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from mmengine.registry import init_default_scope

import s2svr_mm.datasets  # noqa: F401


@pytest.fixture(autouse=True)
def _mmagic_scope() -> None:
    """Build transforms by their bare names, as a runner does."""
    init_default_scope('mmagic')


def write_video(
    path: Path,
    frames: np.ndarray,
    codec: str = 'libx264',
    options: dict[str, str] | None = None,
    times: Sequence[int] | None = None,
    rotation: int = 0,
) -> Path:
    """Encode RGB frames (t, h, w, 3), at ``times`` (25ths of a second), into a video file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.gop_size = 4
        if rotation:
            stream.set_display_rotation(rotation)
        for frame, time in zip(frames, times or range(len(frames)), strict=True):
            picture = av.VideoFrame.from_ndarray(frame, format='rgb24')
            picture.pts, picture.time_base = time, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def decode_all(path: Path) -> list[np.ndarray]:
    """Decode a whole video from its first frame on, without our reader."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]


@pytest.fixture(scope='session')
def save_video() -> Callable[..., Path]:
    """The function :func:`write_video`."""
    return write_video


@pytest.fixture(scope='session')
def decode_video_file() -> Callable[[Path], list[np.ndarray]]:
    """The function :func:`decode_all`."""
    return decode_all
