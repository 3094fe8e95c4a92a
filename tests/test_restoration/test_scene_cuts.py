# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Cuts that are found, changes that are none, and what becomes of the frames beside a cut."""

from itertools import accumulate

import cv2
import numpy as np
import pytest
from helpers.clips import moving_clip, write_frames
from helpers.networks import Neighbours
from helpers.restoring import Same, Stop, content, run

from s2svr_mm.restoration.restorer import VideoRestorer
from s2svr_mm.restoration.scene_cuts import REACH, mark_cuts

LENGTHS = [13, 17, 5, 1, 9, 20, 2, 14]


def film(lengths=LENGTHS, height=36, width=64):
    """Shots of other textures, and the numbers of the frames that all but the first begin with."""
    shots = [moving_clip(n, height, width, seed=seed) for seed, n in enumerate(lengths)]
    return shots, list(accumulate(lengths))[:-1]


def cuts_of(frames, before=()):
    marked = list(mark_cuts(frames, lambda frame: frame, before))
    assert [frame is expected for (frame, _), expected in zip(marked, frames, strict=True)]
    return [number for number, (_, starts) in enumerate(marked) if starts]


def brightened(clip, gains, offsets=0.0):
    """The clip, each frame times a gain and plus an offset, as 8 bits hold it."""
    gains, offsets = (
        np.reshape(np.broadcast_to(v, len(clip)), (-1, 1, 1, 1)) for v in (gains, offsets)
    )
    return (clip * gains + offsets).clip(0, 255).astype(np.uint8)


def at(clip, frames, value, otherwise):
    values = np.full(len(clip), otherwise, np.float64)
    values[frames] = value
    return values


def panned(speed):
    """A camera that turns by so many pixels a frame."""
    rng = np.random.default_rng(0)
    wide = cv2.resize(rng.integers(0, 256, (9, 250, 3), np.uint8), (2000, 72))
    return np.stack([wide[:, x : x + 128] for x in range(0, 30 * speed, speed)])


class TestDetector:
    def test_cuts_are_found(self):
        shots, cuts = film([12, 9, 3, 30])
        assert cuts_of(np.concatenate(shots)) == cuts

    @pytest.mark.parametrize('dtype', [np.uint16, np.float32])
    def test_of_any_type(self, dtype):
        shots, cuts = film([12, 9])
        frames = np.concatenate(shots).astype(dtype) * (257 if dtype == np.uint16 else 1)
        assert cuts_of(frames) == cuts

    def test_in_the_dark_and_out_of_it(self):
        shots, cuts = film([12, 12, 12, 12], 144, 256)
        lit = [brightened(shot, g) for shot, g in zip(shots, (0.08, 0.08, 1, 0.08), strict=True)]
        noise = np.random.default_rng(0).normal(0, 3, (48, 144, 256, 3))
        frames = (np.concatenate(lit) + noise).clip(0, 255).astype(np.uint8)
        assert cuts_of(frames) == cuts

    @pytest.mark.parametrize(
        'change',
        [
            lambda clip: clip,
            lambda clip: brightened(clip, 1, at(clip, [20], 90, 0)),
            lambda clip: brightened(clip, at(clip, [20, 21, 22], 1.5, 1), 60),
            lambda clip: brightened(clip, at(clip, [20, 21], 0, 1)),
            lambda clip: brightened(clip, at(clip, [20, 21], 0, 1), at(clip, [20, 21], 255, 0)),
            lambda clip: brightened(clip, np.linspace(0, 1, 12).tolist() + [1] * 28),
            lambda clip: brightened(clip, [1] * 28 + np.linspace(1, 0, 12).tolist()),
            lambda clip: np.clip(
                clip + np.random.default_rng(0).normal(0, 15, clip.shape), 0, 255
            ).astype(np.uint8),
            lambda clip: np.zeros_like(clip),
            lambda clip: panned(8),
            lambda clip: panned(20),
        ],
        ids=[
            'as it is',
            'flash',
            'long flash',
            'black',
            'white',
            'fade in',
            'fade out',
            'noise',
            'nothing',
            'pan',
            'fast pan',
        ],
    )
    def test_what_is_no_cut(self, change):
        assert cuts_of(change(moving_clip(40, 72, 128))) == []

    def test_a_dissolve_is_no_cut(self):
        one, other = moving_clip(40, 36, 64), moving_clip(40, 36, 64, seed=1)
        weight = np.clip((np.arange(40) - 13) / 13, 0, 1)
        mixed = brightened(one, 1 - weight) + brightened(other, weight)
        assert cuts_of(mixed) == []

    def test_is_the_same_wherever_reading_begins(self):
        shots, cuts = film()
        frames = np.concatenate(shots)
        whole = cuts_of(frames)
        assert set(cuts) - set(whole) <= {36, 45 + 20, 45 + 22}
        for start in range(1, len(frames), 4):
            found = cuts_of(frames[start:], frames[max(start - REACH, 0) : start])
            assert [start + cut for cut in found] == [cut for cut in whole if cut >= start]

    def test_reads_no_farther_ahead_than_it_reaches(self):
        read = []
        marked = mark_cuts(
            (read.append(i) or frame for i, frame in enumerate(moving_clip(30, 36, 64))),
            lambda frame: frame,
        )
        for number in range(20):
            next(marked)
            assert len(read) == number + REACH + 1


class TestScenes:
    @pytest.mark.parametrize(('window', 'overlap'), [(12, 8), (9, 6), (20, 8), (60, 16), (12, 10)])
    @pytest.mark.parametrize('tile', [0, pytest.param(24, marks=pytest.mark.slow)])
    def test_are_restored_as_clips_of_their_own(self, window, overlap, tile):
        """Exactly, for a network that reaches no farther than what a window keeps to itself."""
        shots, cuts = film([13, 17, 6, 9, 20, 7, 14])
        settings = dict(device='cpu', dtype='float32', tile=tile, tile_overlap=8)
        network = Neighbours(reach=overlap // 4)
        restorer = VideoRestorer(network, window=window, overlap=overlap, **settings)
        assert cuts_of(np.concatenate(shots)) == cuts
        alone = VideoRestorer(network, window=99, overlap=0, scene_cuts=False, **settings)
        expected = np.concatenate([list(alone.restore(shot)) for shot in shots]).astype(int)
        found = np.stack(list(restorer.restore(np.concatenate(shots))))
        # Fading between two equal frames may round once more.
        assert np.abs(found - expected).max() <= 1
        mixed = VideoRestorer(
            network, window=window, overlap=overlap, scene_cuts=False, **settings
        ).restore(np.concatenate(shots))
        assert np.abs(np.stack(list(mixed)) - expected).max() > 5

    def test_are_named_in_the_summary(self, tmp_path):
        shots, _ = film([13, 17, 9])
        folder = write_frames(tmp_path / 'in', np.concatenate(shots))
        summary = run(folder, tmp_path / 'out')
        assert summary.cuts == [(13, 13 / 25), (30, 30 / 25)]
        assert '3 scenes' in str(summary)
        assert '13 (0.52 s), 30 (1.20 s)' in str(summary)
        assert run(folder, tmp_path / 'rest', frames=(13, 35)).cuts == [(30, 30 / 25)]

    @pytest.mark.parametrize('calls', [4, 9, 14])
    def test_resuming_ends_in_the_same(self, tmp_path, calls):
        shots, _ = film([13, 17, 9])
        folder = write_frames(tmp_path / 'in', np.concatenate(shots))
        with pytest.raises(KeyboardInterrupt):
            run(folder, tmp_path / 'out', Stop(calls), segment=4)
        resumed = run(folder, tmp_path / 'out', segment=4)
        assert resumed.resumed > 0
        assert [cut for cut, _ in resumed.cuts] == [13, 30]
        run(folder, tmp_path / 'straight', Same(), segment=4)
        assert content(tmp_path / 'out') == content(tmp_path / 'straight')
