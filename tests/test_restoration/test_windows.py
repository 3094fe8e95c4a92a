# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
from itertools import pairwise

import numpy as np
import pytest

from s2svr_mm.restoration.windows import (
    RestoredWindow,
    TilingPlan,
    join_windows,
    place,
    sliding_windows,
    thin_out,
    tile_axis,
)

PLANS = [
    TilingPlan(1, 0),
    TilingPlan(5, 0),
    TilingPlan(6, 4),
    TilingPlan(6, 1),
    TilingPlan(7, 2),
    TilingPlan(9, 3),
    TilingPlan(12, 10),
    TilingPlan(60, 16),
]


@pytest.mark.parametrize('plan', PLANS, ids=str)
@pytest.mark.parametrize('length', [0, 1, 2, 6, 7, 13, 24, 61])
def test_windows_join_to_what_they_were_cut_from(plan, length):
    clip = np.arange(length, dtype=np.uint8).repeat(3).reshape(length, 1, 1, 3)
    pairs = sliding_windows(clip, plan)
    windows = [RestoredWindow(np.stack(frames), last) for frames, last in pairs]
    assert [window.is_last for window in windows] == [False] * (len(windows) - 1) + [True] * bool(
        length
    )
    assert all(len(w.frames) == plan.window for w in windows if not w.is_last)
    joined = list(join_windows(windows, plan))
    assert np.array_equal(np.concatenate([*joined, clip[:0]]), clip)
    done = 0
    for number, part in enumerate(joined):
        assert done == plan.frames_before(number)
        done += len(part)


@pytest.mark.parametrize('plan', PLANS, ids=str)
def test_resumed_windows_are_those_of_the_whole_video(plan):
    """The result must not depend on where reading began, whatever the windows hold."""
    rng = np.random.default_rng(0)
    clip = list(range(50))

    def restored(numbers, resumed):
        windows = []
        for window, last in sliding_windows(numbers, plan):
            noise = np.random.default_rng(window[0]).integers(0, 256, (len(window), 2, 2, 3))
            windows.append(RestoredWindow(noise.astype(np.uint8), last))
        return list(join_windows(windows, plan, resumed))

    whole = restored(clip, False)
    window = int(rng.integers(1, len(whole))) if len(whole) > 1 else 0
    if window:
        rest = restored(clip[(window - 1) * plan.step :], True)
        assert len(rest) == len(whole) - window
        for a, b in zip(rest, whole[window:], strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize('plan', PLANS, ids=str)
def test_overlap_is_what_neighbours_share(plan):
    first, second = list(sliding_windows(range(3 * plan.window), plan))[:2]
    assert len(set(first[0]) & set(second[0])) == plan.overlap


@pytest.mark.parametrize('overlap', [0, 8, 64])
def test_tiles_share_their_overlap(overlap):
    """The last one but one and the last may share more."""
    tiles = tile_axis(2000, 128, overlap)
    shared = [a.stop - b.start for a, b in pairwise(tiles)]
    assert set(shared[:-1]) == {overlap}
    assert shared[-1] >= overlap


def test_windows_fade_into_each_other():
    plan = TilingPlan(12, 8)
    windows = [
        RestoredWindow(np.full((12, 1, 1, 3), value, np.uint8), value == 200) for value in (0, 200)
    ]
    values = np.concatenate(list(join_windows(windows, plan)))[:, 0, 0, 0]
    assert values.tolist() == [0] * 6 + [40, 80, 120, 160] + [200] * 6


@pytest.mark.parametrize(
    ('cut', 'new_from'),
    [(0, 2), (1, 2), (2, 2), (3, 3), (5, 5), (6, 6), (8, 6)],
)
def test_windows_give_way_to_each_other_at_a_cut(cut, new_from):
    """As far as the frames are not left to a third window, and later than those written."""
    plan = TilingPlan(12, 8)
    windows = [
        RestoredWindow(np.full((12, 1, 1, 3), value, np.uint8), value == 200, cuts)
        for value, cuts in ((0, [4 + cut]), (200, [cut]))
    ]
    values = np.concatenate(list(join_windows(windows, plan)))[:, 0, 0, 0]
    assert values.tolist() == [0] * (4 + new_from) + [200] * (12 - new_from)


def test_no_more_than_a_window_is_held():
    plan, read = TilingPlan(6, 4), []
    windows = sliding_windows((read.append(i) or i for i in range(30)), plan)
    for number in range(4):
        next(windows)
        assert len(read) <= number * plan.step + plan.window + 1


@pytest.mark.parametrize(
    ('runs', 'seen', 'places'),
    [
        ([1, 1, 1], [0, 1, 2], [0, 1, 2]),
        ([7, 2], [0] * 7 + [1] * 2, list(range(9))),
        ([8], [0] * 7, [3] * 8),
        ([2, 60, 1], [0, 0, *[1] * 7, 2], [0, 1, *[5] * 60, 9]),
    ],
)
def test_still_frames_are_thinned_out(runs, seen, places):
    frames = [np.full((1, 1, 3), i, np.uint8) for i, run in enumerate(runs) for _ in range(run)]
    found, found_places = thin_out(frames)
    assert [int(frame[0, 0, 0]) for frame in found] == seen
    assert found_places == places
    assert all(np.array_equal(found[p], f) for p, f in zip(places, frames, strict=True))


@pytest.mark.parametrize(
    ('length', 'tile', 'overlap'),
    [(100, 0, 16), (100, 200, 16), (101, 40, 16), (64, 60, 8), (37, 16, 12), (500, 128, 64)],
)
def test_tiles_cover_and_join(length, tile, overlap):
    tiles = tile_axis(length, tile, overlap)
    scale = 2
    truth = np.random.default_rng(0).integers(0, 256, (2, scale * length, 3, 3)).astype(np.uint8)
    result = np.zeros_like(truth)
    for number, t in enumerate(tiles):
        assert 0 <= t.start < t.stop <= length
        assert t.start % 4 == 0
        piece = truth[:, scale * t.start : scale * t.stop].copy()
        # What lies nearer to the end of a tile than a quarter of the overlap must not count.
        margin = scale * (overlap // 4)
        if number > 0:
            piece[:, :margin] = 0
        if number < len(tiles) - 1:
            piece[:, piece.shape[1] - margin :] = 0
        place(result, piece, t, scale, axis=1)
    assert np.array_equal(result, truth)


def test_tiles_fade_evenly():
    first, second = tile_axis(24, 16, 8)
    result = np.zeros((1, 24, 1, 3), np.float32)
    for tile, value in ((first, 0), (second, 1)):
        piece = np.full((1, tile.stop - tile.start, 1, 3), value, np.float32)
        place(result, piece, tile, 1, axis=1)
    step = np.diff(result[0, :, 0, 0])
    assert (step >= 0).all()
    assert step.max() < 0.25
