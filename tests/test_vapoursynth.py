# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The filter for VapourSynth, where that can be installed: Python 3.12."""

import numpy as np
import pytest
from helpers.clips import moving_clip
from helpers.networks import Neighbours

from s2svr_mm.errors import ConfigError
from s2svr_mm.restoration.restorer import VideoRestorer
from s2svr_mm.vapoursynth import as_clip, restore, to_array

vs = pytest.importorskip('vapoursynth')


def clip_of(frames, kind):
    """A clip of VapourSynth, and its frames as they are restored."""
    blank = vs.core.std.BlankClip(
        format=kind, width=frames.shape[2], height=frames.shape[1], length=len(frames)
    )
    return as_clip(blank, frames, frames.shape[1:3])


@pytest.mark.parametrize(
    ('kind', 'dtype', 'gain'),
    [('RGB24', np.uint8, 1), ('RGB48', np.uint16, 257), ('RGBS', np.float32, 1)],
)
def test_frames_are_those_of_the_restorer(kind, dtype, gain):
    frames = moving_clip(20, 24, 32).astype(dtype) * dtype(gain)
    clip = clip_of(frames, getattr(vs, kind))
    given = [to_array(clip, number) for number in range(20)]
    assert np.allclose(given, frames, rtol=1e-6)
    settings = dict(device='cpu', dtype='float32', window=8, overlap=4, tile=0)
    expected = list(VideoRestorer(Neighbours(), **settings).restore(given))
    restored = restore(clip, Neighbours(), **settings)
    assert (restored.width, restored.height, restored.num_frames) == (64, 48, 20)
    for number in (7, 19, 0, 8, 9, 10, 3):
        assert np.allclose(to_array(restored, number), expected[number], rtol=1e-6)


def test_a_size_of_its_own():
    clip = clip_of(moving_clip(3, 24, 32), vs.RGB24)
    restored = restore(clip, Neighbours(), device='cpu', dtype='float32', size='36x20')
    assert (restored.width, restored.height) == (36, 20)
    assert to_array(restored, 2).shape == (20, 36, 3)


def test_settings_of_a_restorer_are_its_own():
    restorer = VideoRestorer(Neighbours(), device='cpu')
    with pytest.raises(ConfigError, match='window'):
        restore(clip_of(moving_clip(3, 24, 32), vs.RGB24), restorer, window=3)


def test_other_clips_are_refused():
    with pytest.raises(ConfigError, match=r'YUV420P8, but must be RGB24, RGB48 or RGBS'):
        restore(vs.core.std.BlankClip(format=vs.YUV420P8), Neighbours(), device='cpu')
