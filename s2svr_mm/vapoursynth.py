# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""A filter for VapourSynth: ``s2svr_mm.vapoursynth.restore(clip, model='s2svr_s_x4')``.

VapourSynth is an optional extra, ``pip install 's2svr_mm[vapoursynth]'``; its wheels need Python
3.12.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import nn

    from .restoration.restorer import VideoRestorer

_FORMATS = 'RGB24, RGB48 or RGBS'


def restore(
    clip: Any, model: 'str | nn.Module | VideoRestorer | None' = None, **settings: Any
) -> Any:
    """Restore a clip; its frames can be asked for in any order.

    Frames equal those that ``VideoRestorer.restore`` yields for the same RGB frames. They are made
    window by window, and the last windows are held.

    Args:
        clip (vapoursynth.VideoNode): RGB24, RGB48 or RGBS (full range), of one size.
        model (str | nn.Module | VideoRestorer): Name of a bundled model, a network, or a network
            with its settings. Defaults to None, the bundled one for the ``size`` among the
            settings; see :func:`.default_model`.
        **settings: Arguments of :class:`VideoRestorer`, unless ``model`` is one.

    Returns:
        vapoursynth.VideoNode: The restored clip, of the same format.

    Raises:
        ConfigError: The clip is of another format, or varies.
    """
    from .restoration.random_access import RestoredFrames
    from .restoration.restore_video import restorer_of

    _check(clip)
    restorer = restorer_of(model, settings, (clip.height, clip.width))
    frames = RestoredFrames(restorer, lambda number: to_array(clip, number), clip.num_frames)
    return as_clip(clip, frames, restorer.output_size(clip.height, clip.width))


def _check(clip: Any) -> None:
    import vapoursynth as vs

    from .errors import ConfigError

    kind = clip.format
    if kind is None or not clip.width or not clip.height:
        raise ConfigError('the clip varies in format or size: cut it into clips of one kind')
    if kind.id not in (vs.RGB24, vs.RGB48, vs.RGBS):
        raise ConfigError(
            f'the clip is {kind.name}, but must be {_FORMATS}: '
            "clip.resize.Bicubic(format=vs.RGB24, matrix_in_s='709')"
        )


def to_array(clip: Any, number: int) -> np.ndarray:
    """Read a frame of a clip.

    Args:
        clip (vapoursynth.VideoNode): RGB24, RGB48 or RGBS.
        number (int): Number of the frame.

    Returns:
        np.ndarray: (h, w, 3), uint8, uint16, or float32 in [0, 255].
    """
    with clip.get_frame(number) as frame:
        rgb = np.stack([np.asarray(frame[plane]) for plane in range(3)], axis=2)
    return rgb * np.float32(255) if rgb.dtype == np.float32 else rgb


def as_clip(clip: Any, frames: Sequence[np.ndarray] | Any, size: tuple[int, int]) -> Any:
    """Make a clip whose frames are computed on demand.

    Args:
        clip (vapoursynth.VideoNode): What they were made from: format, rate, length, properties.
        frames (Sequence[np.ndarray]): (height, width, 3) each, as :func:`to_array` gives them.
        size (tuple[int, int]): Their height and width.

    Returns:
        vapoursynth.VideoNode: The clip.
    """
    blank = clip.std.BlankClip(width=size[1], height=size[0], keep=True)

    def fill(n: int, f: Sequence[Any]) -> Any:
        source, target = f[0], f[1].copy()
        rgb = frames[n]
        if rgb.dtype == np.float32:
            rgb = rgb / np.float32(255)
        for plane in range(3):
            np.copyto(np.asarray(target[plane]), rgb[..., plane])
        target.props.update(source.props)
        return target

    return blank.std.ModifyFrame(clips=[clip, blank], selector=fill)
