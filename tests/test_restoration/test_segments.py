# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Inputs whose frames change: in size on the way, or from one call to the next."""

import shutil
import time

import cv2
import numpy as np
import pytest
from helpers.clips import moving_clip, write_frames
from helpers.restoring import Stop, content, run

from s2svr_mm.errors import DataError
from s2svr_mm.restoration import restore_video as pipeline
from s2svr_mm.restoration.scene_cuts import REACH


@pytest.fixture
def two_sizes(tmp_path):
    """Twenty frames of 128x96 and ten of 160x128, in one folder.

    On smaller ones x264 gives other bytes now and then on a processor with AVX-512.
    """
    folder = write_frames(tmp_path / 'in', moving_clip(20, 96, 128))
    return write_frames(folder, moving_clip(10, 128, 160, seed=1), start=20)


def read(folder, first, last):
    return [cv2.imread(str(folder / f'{i:08d}.png')) for i in range(first, last)]


class TestSizeChanges:
    def test_are_found_before_any_work(self, tmp_path, two_sizes):
        message = r'00000020\.png \(frame 20\) is 160x128, those before 128x96.*--frames 0:20, then'
        with pytest.raises(DataError, match=message):
            run(two_sizes, tmp_path / 'out.mp4')
        assert not list(tmp_path.glob('out*'))
        # The advice.
        for wanted in ((0, 20), (20, None)):
            assert run(two_sizes, tmp_path / f'{wanted[0]}.mp4', frames=wanted).damage is None

    @pytest.mark.parametrize('name', ['out', 'out.mp4'])
    def test_what_comes_before_is_a_whole_output(self, tmp_path, two_sizes, name, monkeypatch):
        """Of a kind whose sizes cannot be told without decoding all."""
        monkeypatch.setattr(pipeline, 'first_size_change', lambda *_: None)
        summary = run(two_sizes, tmp_path / name, segment=4)
        assert summary.frames == 20
        assert '00000020.png (frame 20) is 160x128, those before 128x96' in summary.damage
        run(two_sizes, tmp_path / f'expected_{name}', frames=(0, 20), segment=4)
        assert content(tmp_path / name) == content(tmp_path / f'expected_{name}')
        assert not list(tmp_path.glob('*.parts'))
        # The advice.
        assert '--frames 20: restores the rest' in summary.damage
        rest = run(two_sizes, tmp_path / f'rest_{name}', frames=(20, None))
        assert (rest.frames, rest.size, rest.damage) == (10, (160, 128), None)

    @pytest.mark.parametrize('name', ['out', 'out.mp4'])
    def test_split(self, tmp_path, two_sizes, name):
        began = time.monotonic()
        summary = run(two_sizes, tmp_path / name, size_change='split', segment=4)
        assert summary.restoring < summary.seconds < time.monotonic() - began
        second = 'out.2' if name == 'out' else 'out.2.mp4'
        assert summary.outputs == [str(tmp_path / name), str(tmp_path / second)]
        assert (summary.frames, summary.damage) == (30, None)
        assert f'{tmp_path / second}: 10 frames of 160x128' in summary.notes
        for part, wanted in ((name, (0, 20)), (second, (20, 30))):
            expected = tmp_path / f'expected_{wanted[0]}' / name
            expected.parent.mkdir()
            run(two_sizes, expected, frames=wanted, segment=4)
            assert content(tmp_path / part) == content(expected)

    def test_scale(self, tmp_path, two_sizes):
        summary = run(two_sizes, tmp_path / 'out', size_change='scale', segment=4)
        assert (summary.frames, summary.damage) == (30, None)
        assert '10 frames were scaled to that size' in summary.notes
        assert np.array_equal(read(tmp_path / 'out', 0, 20), read(two_sizes, 0, 20))
        for found, frame in zip(
            read(tmp_path / 'out', 20, 30), read(two_sizes, 20, 30), strict=True
        ):
            smaller = cv2.resize(frame, (128, 96), interpolation=cv2.INTER_AREA)
            assert np.abs(found.astype(int) - smaller).max() <= 1

    @pytest.mark.parametrize('size_change', ['split', 'scale'])
    @pytest.mark.parametrize('calls', [6, 9, 11])
    def test_resuming_ends_in_the_same(self, tmp_path, two_sizes, size_change, calls):
        options = dict(size_change=size_change, segment=4)
        run(two_sizes, tmp_path / 'straight', **options)
        with pytest.raises(KeyboardInterrupt):
            run(two_sizes, tmp_path / 'out', Stop(calls), **options)
        assert run(two_sizes, tmp_path / 'out', **options).resumed > 0
        for name in ('', '.2') if size_change == 'split' else ('',):
            found, expected = (content(tmp_path / f'{n}{name}') for n in ('out', 'straight'))
            assert found == expected

    def test_a_frame_of_another_size_among_the_first(self, tmp_path):
        folder = write_frames(tmp_path / 'in', moving_clip(2, 24, 32))
        write_frames(folder, moving_clip(1, 24, 30), start=2)
        assert run(folder, tmp_path / 'out', size_change='split').outputs[1].endswith('out.2')
        assert run(folder, tmp_path / 'all', size_change='scale').frames == 3


class TestOtherContent:
    @pytest.fixture
    def stopped(self, tmp_path):
        """A folder of frames, and how far a call was that has been stopped: three segments."""
        folder = write_frames(tmp_path / 'in', moving_clip(20, 24, 32))
        with pytest.raises(KeyboardInterrupt):
            run(folder, tmp_path / 'out', Stop(8), segment=4)
        return folder, len(list((tmp_path / 'out.parts').glob('output/*.whole')))

    def test_moved_and_touched_files_are_the_same(self, tmp_path, stopped):
        folder, kept = stopped
        moved = folder.rename(tmp_path / 'moved')
        for path in moved.iterdir():
            path.touch()
        assert kept > 1
        assert run(moved, tmp_path / 'out', segment=4).resumed > 4

    @pytest.mark.parametrize('changed', [0, 4, 8, 13, 19])
    def test_only_what_depends_on_a_changed_frame_is_done_anew(self, tmp_path, stopped, changed):
        folder, kept = stopped
        untouched = run(shutil.copytree(folder, tmp_path / 'copy'), tmp_path / 'same', segment=4)
        assert untouched.resumed == 0
        cv2.imwrite(str(folder / f'{changed:08d}.png'), moving_clip(1, 24, 32, seed=1)[0])
        # Segments of two windows of six frames, two apart, that see the window before and what
        # tells cuts; the first one has five frames, the others four.
        seen = [range(4 * n - 2 - REACH, 4 * n + 9 + REACH) for n in range(kept)]
        expected = sum(4 + (n == 0) for n in range(kept) if changed not in seen[n])
        assert run(folder, tmp_path / 'out', segment=4).resumed == expected
        run(folder, tmp_path / 'straight', segment=4)
        assert content(tmp_path / 'out') == content(tmp_path / 'straight')

    def test_a_truncated_frame_is_repaired(self, tmp_path):
        folder = write_frames(tmp_path / 'in', moving_clip(30, 24, 32))
        path = folder / '00000025.png'
        good = path.read_bytes()
        path.write_bytes(good[: len(good) // 2])
        with pytest.raises(DataError, match=r'00000025\.png.*truncated'):
            run(folder, tmp_path / 'out', segment=4)
        path.write_bytes(good)
        assert run(folder, tmp_path / 'out', segment=4).resumed > 8

    @pytest.mark.parametrize('stop', [None, 20, 18, 6])
    def test_another_end(self, tmp_path, stopped, stop):
        """Work that was done for a longer stretch is of use for a shorter one."""
        folder, _ = stopped
        summary = run(folder, tmp_path / 'out', frames=(0, stop), segment=4)
        assert (summary.resumed > 0) == (stop != 6)
        run(folder, tmp_path / 'straight', frames=(0, stop), segment=4)
        assert content(tmp_path / 'out') == content(tmp_path / 'straight')
