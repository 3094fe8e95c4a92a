# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pickle

import numpy as np
import pytest
from helpers.clips import moving_clip
from helpers.videos import write_video

from s2svr_mm.errors import DataError
from s2svr_mm.io.frames import read_frames
from s2svr_mm.io.paths import split_reference


@pytest.mark.parametrize(
    ('reference', 'expected'),
    [
        ('a/b.mp4#12', ('a/b.mp4', 12)),
        ('a/b_2x2.YUV#0', ('a/b_2x2.YUV', 0)),
        ('a#1/0001.png', ('a#1/0001.png', None)),
        ('clip.mp4#1/0001.png', ('clip.mp4#1/0001.png', None)),
        ('a/take #3.png', ('a/take #3.png', None)),
    ],
)
def test_a_reference_is_split(reference, expected):
    assert split_reference(reference) == expected


def test_order_and_repetition_are_kept(tmp_path):
    path = write_video(tmp_path / 'a.mp4', moving_clip(6, 32, 32))
    frames = read_frames([f'{path}#{i}' for i in (4, 1, 1, 5)])
    expected = read_frames([f'{path}#{i}' for i in range(6)])
    for frame, i in zip(frames, (4, 1, 1, 5), strict=True):
        np.testing.assert_array_equal(frame, expected[i])


def test_data_error_survives_a_worker_process():
    error = pickle.loads(pickle.dumps(DataError('the message')))
    assert str(error) == 'the message'
