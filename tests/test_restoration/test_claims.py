# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Several processes restore one output."""

import os
import random
import signal
import time

import pytest
from helpers.clips import moving_clip, write_frames
from helpers.restoring import UNEVEN, Same, Stop, content, run
from helpers.videos import write_movie
from helpers.workers import REFUSED, Slow, start, together, work

from s2svr_mm.errors import DataError, OutputError
from s2svr_mm.restoration import claims as module
from s2svr_mm.restoration import restore_video as pipeline
from s2svr_mm.restoration import resume
from s2svr_mm.restoration.claims import Arrival, Claims, FinishedElsewhereError, Worker
from s2svr_mm.restoration.resume import ResumeFolder, parts_of
from s2svr_mm.restoration.windows import Segments, TilingPlan, sliding_windows
from s2svr_mm.utils.output_state import OutputState


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(module, 'POLL_SECONDS', 0.02)


@pytest.fixture
def clip(tmp_path):
    """Of frames on which the bytes of x264 do not change from run to run."""
    times = [time + 730 * turn for turn in range(3) for time in UNEVEN]
    return write_movie(tmp_path / 'in.mkv', moving_clip(54, 96, 128), times=times, sound=True)


@pytest.mark.parametrize('name', ['out.mkv', 'out'])
@pytest.mark.parametrize('count', [1, 2, 3])
def test_the_bytes_are_those_of_one_process(clip, tmp_path, name, count):
    run(clip, tmp_path / f'straight_{name}', Slow(), segment=4)
    codes, told = together(clip, tmp_path / name, count, seconds=0.02)
    assert codes == [0] * count
    assert sum('54 frames 128x96' in text for text in told) == 1
    assert told.count('None') == count - 1
    assert content(tmp_path / name) == content(tmp_path / f'straight_{name}')
    assert not parts_of(tmp_path / name).exists()


def test_a_segment_of_one_window(clip, tmp_path):
    """So that the window before the second one is the first of all."""
    run(clip, tmp_path / 'straight.mkv', Same(), segment=2)
    out = tmp_path / 'out.mkv'
    with pytest.raises(KeyboardInterrupt):
        run(clip, out, Stop(9), segment=2)
    parts = parts_of(out)
    for number in (1, 3):
        (parts / 'output' / f'{number:06d}.packets').unlink()
    assert run(clip, out, Same(), segment=2).resumed > 0
    assert content(out) == content(tmp_path / 'straight.mkv')


def test_workers_do_different_segments(clip, tmp_path):
    processes = [start(clip, tmp_path / 'out.mkv', rank, 2, seconds=0.1) for rank in range(2)]
    parts = parts_of(tmp_path / 'out.mkv')
    _wait_for(lambda: len(list(parts.glob('output/*.packets'))) > 5)
    numbers = sorted(int(path.stem) for path in parts.glob('output/*.packets'))
    # From the start and from the middle; one alone would do them in a row.
    assert numbers[0] == 0
    assert numbers != list(range(len(numbers)))
    for process in processes:
        process.join(120)
    assert (tmp_path / 'out.mkv').is_file()


@pytest.mark.parametrize('victim', [0, 1])
def test_the_others_do_the_work_of_one_that_is_killed(clip, tmp_path, victim):
    run(clip, tmp_path / 'straight.mkv', Slow(), segment=4)
    processes = [start(clip, tmp_path / 'out.mkv', rank, 3, seconds=0.3) for rank in range(3)]
    parts = parts_of(tmp_path / 'out.mkv')
    _wait_for(lambda: len(list(parts.glob('.s2svr_mm/worker-*.lock'))) == 3, 100)
    os.kill(processes[victim].pid, signal.SIGKILL)
    for process in processes:
        process.join(120)
    assert [p.exitcode for p in processes] == [-9 if n == victim else 0 for n in range(3)]
    assert content(tmp_path / 'out.mkv') == content(tmp_path / 'straight.mkv')
    assert not parts.exists()


def test_killed_at_random_and_resumed_by_any_number(clip, tmp_path):
    run(clip, tmp_path / 'straight.mkv', Slow(), segment=4)
    rng, out = random.Random(0), tmp_path / 'out.mkv'
    kept = 0
    for count in (2, 3):
        processes = [start(clip, out, rank, count, seconds=0.2) for rank in range(count)]
        target = kept + rng.randint(1, 2)
        _wait_for(lambda target=target: len(list(parts_of(out).glob('*/*.packets'))) >= target)
        for process in processes:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
        kept = len(list(parts_of(out).glob('*/*.packets')))
        assert not out.exists()
    # One that works alone resumes what several have done.
    assert run(clip, out, Slow(), segment=4).resumed > 0
    assert content(out) == content(tmp_path / 'straight.mkv')
    assert not parts_of(out).exists()


@pytest.fixture
def at_work(clip, tmp_path):
    """Another process of a call that is half done."""
    with pytest.raises(KeyboardInterrupt):
        run(clip, tmp_path / 'out.mkv', Stop(8), segment=4)
    with ResumeFolder(tmp_path / 'out.mkv', shared=True):
        yield tmp_path / 'out.mkv'


def test_another_call_is_refused(clip, at_work):
    with pytest.raises(OutputError, match='another process is writing'):
        run(clip, at_work, Same(), segment=4)
    for options in (dict(crf=30), dict(crf=30, overwrite=True)):
        with pytest.raises(OutputError, match='run with another codec'):
            work(clip, at_work, Worker(0, 2), network=Same(), **options)
    assert work(clip, at_work, Worker(0, 2), network=Same()).resumed > 0


def test_another_input_of_the_same_name_is_refused(tmp_path, at_work):
    """As on a machine where another file has the path of the input."""
    other = write_movie(tmp_path / 'other.mkv', moving_clip(54, 96, 128, seed=1))
    with pytest.raises(DataError, match='is not what another process is restoring'):
        work(other, at_work, Worker(1, 2), network=Same())
    assert list(parts_of(at_work).glob('*.input'))


def test_a_single_call_is_not_joined(clip, tmp_path, monkeypatch):
    # The folder stays taken: leaving it would wait for ten seconds.
    monkeypatch.setattr('s2svr_mm.utils.locks._PATIENCE_SECONDS', 0.5)
    with (
        ResumeFolder(tmp_path / 'out.mkv'),
        pytest.raises(OutputError, match=r'another process is writing to .*out\.mkv'),
    ):
        work(clip, tmp_path / 'out.mkv', Worker(0, 2))
    assert not (tmp_path / 'out.mkv').exists()


def test_a_full_disk_of_one_stops_that_one(clip, tmp_path):
    run(clip, tmp_path / 'straight.mkv', Slow(), segment=4)
    full = start(clip, tmp_path / 'out.mkv', 1, 2, seconds=0.05, full_disk=True)
    other = start(clip, tmp_path / 'out.mkv', 0, 2, seconds=0.05)
    for process in (full, other):
        process.join(120)
    assert (full.exitcode, other.exitcode) == (REFUSED, 0)
    assert 'No space left for' in full.log.read_text()
    assert content(tmp_path / 'out.mkv') == content(tmp_path / 'straight.mkv')


def test_no_permission(clip, tmp_path, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(resume.Path, 'mkdir', refuse)
    with pytest.raises(OutputError, match='no permission to write to'):
        work(clip, tmp_path / 'out.mkv', Worker(0, 2))


def test_times_of_files_do_not_count(clip, tmp_path):
    """Clocks of other machines may be years ahead or behind."""
    with pytest.raises(KeyboardInterrupt):
        run(clip, tmp_path / 'out.mkv', Stop(8), segment=4)
    for path in parts_of(tmp_path / 'out.mkv').rglob('*'):
        os.utime(path, (4e9, 4e9) if path.stem[-1:] in '02468' else (1, 1))
    codes, told = together(clip, tmp_path / 'out.mkv', 2)
    assert codes == [0, 0]
    assert 'were there from an earlier run' in ''.join(told)


def test_a_lock_of_a_dead_process_is_no_lock(clip, tmp_path):
    hidden = parts_of(tmp_path / 'out.mkv') / '.s2svr_mm'
    hidden.mkdir(parents=True)
    for name in ('lock', 'worker-1-0123456789abcdef.lock', '000000.lock', 'assembly.lock'):
        (hidden / name).touch()
    assert run(clip, tmp_path / 'out.mkv', Slow(), segment=4).frames == 54
    assert not parts_of(tmp_path / 'out.mkv').exists()


def test_a_folder_of_that_name_is_not_touched(clip, tmp_path):
    parts_of(tmp_path / 'out.mkv').mkdir()
    (parts_of(tmp_path / 'out.mkv') / 'letter.txt').write_text('mine')
    codes, told = together(clip, tmp_path / 'out.mkv', 2)
    assert codes == [REFUSED] * 2
    assert 'It was not touched' in told[0]
    assert [path.name for path in parts_of(tmp_path / 'out.mkv').iterdir()] == ['letter.txt']


def test_split_where_the_size_changes(tmp_path, monkeypatch):
    """Of a kind whose sizes can not be told without decoding all."""
    folder = write_frames(tmp_path / 'in', moving_clip(20, 96, 128))
    write_frames(folder, moving_clip(30, 128, 160, seed=1), start=20)
    options = dict(size_change='split', segment=4)
    run(folder, tmp_path / 'straight', Slow(), **options)
    codes, _ = together(folder, tmp_path / 'out', 2, seconds=0.02, **options)
    assert codes == [0, 0]
    for name in ('', '.2'):
        assert content(tmp_path / f'out{name}') == content(tmp_path / f'straight{name}')
    monkeypatch.setattr(pipeline, 'first_size_change', lambda *_: None)
    # From the middle on there are only frames of another size.
    monkeypatch.setattr(module, '_PATIENCE_SECONDS', 0)
    summary = work(folder, tmp_path / 'first', Worker(1, 2))
    assert summary.frames == 20
    assert content(tmp_path / 'first') == content(tmp_path / 'straight')


class TestArrival:
    def test_an_output_from_before_is_refused(self, clip, tmp_path):
        (tmp_path / 'out.mkv').write_text('mine')
        with pytest.raises(OutputError, match='exists already'):
            work(clip, tmp_path / 'out.mkv', Worker(0, 2))
        # The first one says so.
        assert work(clip, tmp_path / 'out.mkv', Worker(1, 2)) is None
        assert (tmp_path / 'out.mkv').read_text() == 'mine'

    @pytest.mark.parametrize('rank', [0, 1])
    def test_who_comes_when_all_is_done_has_nothing_to_do(self, tmp_path, rank):
        out = tmp_path / 'out.mkv'
        arrival = Arrival(out, Worker(rank, 2), OutputState.of(out))
        assert not arrival.is_late()
        out.write_text('by the others')
        assert arrival.is_late()
        with pytest.raises(FinishedElsewhereError):
            arrival.joins(overwrite=True)

    def test_who_waits_in_vain_begins(self, tmp_path, monkeypatch):
        monkeypatch.setattr(module, '_PATIENCE_SECONDS', 0.1)
        assert not Arrival(tmp_path / 'out.mkv', Worker(1, 2)).joins(overwrite=False)


@pytest.mark.parametrize('frames', range(1, 40))
def test_number_of_segments(frames):
    segments = Segments.of(TilingPlan(6, 4), 4)
    windows = sum(1 for _ in sliding_windows(range(frames), segments.plan))
    assert segments.count(frames) == -(-windows // segments.length)


class NoSink:
    def has_segment(self, number):
        return True


def test_runs_begin_far_from_one_another(tmp_path):
    """Four at once, then one more: each in the middle of what the others have before them."""
    with ResumeFolder(tmp_path / 'out.mkv', shared=True) as parts:
        parts.begin({}, resume.Beginning(resume.Decision(TilingPlan(6, 4), 'float32'), (8, 8)))
        segments = Segments.of(TilingPlan(6, 4), 4)
        of = [Claims(parts, [NoSink()], segments, 4 * 64, Worker(rank, 4)) for rank in range(4)]
        count = of[0].count
        assert [claims.next_run() for claims in of] == [r * count // 4 for r in range(4)]
        joined = Claims(parts, [NoSink()], segments, 4 * 64, Worker()).next_run()
        assert min(abs(joined - r * count // 4) for r in range(4)) > count // 16
        for claims in of:
            claims.__exit__()
        assert Claims(parts, [NoSink()], segments, 4 * 64, Worker()).next_run() == 0
        parts.clear()


def _wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
