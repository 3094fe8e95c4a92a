# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import numpy as np
import pytest
from helpers.clips import moving_clip
from helpers.networks import Neighbours

from s2svr_mm.restoration.random_access import RestoredFrames
from s2svr_mm.restoration.restorer import VideoRestorer

CLIP = np.concatenate([moving_clip(19, 24, 32), moving_clip(14, 24, 32, seed=1)])


def restorer(window, overlap):
    settings = dict(device='cpu', dtype='float32', tile=0)
    return VideoRestorer(Neighbours(reach=3), window=window, overlap=overlap, **settings)


@pytest.mark.parametrize(('window', 'overlap'), [(12, 8), (8, 2), (7, 6), (5, 0), (99, 16)])
@pytest.mark.parametrize('order', ['forward', 'backward', 'random'])
def test_frames_are_those_of_the_restorer_in_any_order(window, overlap, order):
    expected = list(restorer(window, overlap).restore(CLIP))
    frames = RestoredFrames(restorer(window, overlap), lambda n: CLIP[n], len(CLIP))
    numbers = list(range(len(CLIP)))
    if order == 'backward':
        numbers.reverse()
    if order == 'random':
        np.random.default_rng(0).shuffle(numbers)
    assert all(np.array_equal(frames[n], expected[n]) for n in numbers)
    assert len(frames) == len(CLIP)


def test_going_on_reads_each_frame_once():
    read = []
    frames = RestoredFrames(restorer(8, 4), lambda n: read.append(n) or CLIP[n], len(CLIP))
    for number in range(len(CLIP)):
        frames[number]
        frames[max(number - 1, 0)]
    assert sorted(read[8:]) == list(range(len(CLIP)))


def test_there_are_no_others():
    frames = RestoredFrames(restorer(8, 4), lambda n: CLIP[n], len(CLIP))
    for number in (-1, len(CLIP)):
        with pytest.raises(IndexError, match='of 33'):
            frames[number]
