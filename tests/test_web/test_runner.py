# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The queue, with processes that only look like workers, and with the real one."""

import subprocess
import sys
import time

import pytest
from helpers.clips import moving_clip
from helpers.videos import write_movie

from s2svr_mm import restore_video
from s2svr_mm.errors import OutputError
from s2svr_mm.web import runner as module
from s2svr_mm.web.jobs import JobStore, read_job
from s2svr_mm.web.offers import RestoreSettings
from s2svr_mm.web.runner import Progress, Runner

SETTINGS = {'model': 's2svr_s_deblur', 'device': 'cpu', 'dtype': 'float32'}
# Ends with its input, as a worker does; what it does until then is put in between.
FAKE = """
import json, os, pathlib, sys, threading, time
folder = pathlib.Path(sys.argv[1])
def wait():
    sys.stdin.buffer.read()
    os._exit(130)
threading.Thread(target=wait, daemon=True).start()
def bar(done):
    sys.stderr.write(f'\\r 25%|## | {done}/8 [00:0{done}<00:05,  2.33frame/s]')
    sys.stderr.flush()
def end(**outcome):
    (folder / 'outcome.json').write_text(json.dumps(outcome))
"""
WORKS = "bar(0); bar(8); end(state='done', summary={'frames': 8})"
WAITS = 'bar(0); time.sleep(0.5); bar(2); time.sleep(600)'


@pytest.fixture
def fake(monkeypatch):
    """A function that sets what workers do from now on."""
    scripts = {}

    def worker(folder):
        return subprocess.Popen(
            [sys.executable, '-c', FAKE + scripts['now'], str(folder)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    monkeypatch.setattr(module, '_worker', worker)
    return lambda script: scripts.update(now=script)


@pytest.fixture
def store(tmp_path):
    return JobStore(tmp_path)


@pytest.fixture
def started(store):
    """A function that starts a queue on the store; all are closed in the end."""
    runners = []

    def start(store=store):
        runners.append(Runner(store))
        runners[-1].start()
        return runners[-1]

    yield start
    for runner in runners:
        runner.close()


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_progress():
    """Lines come in any pieces; a rate that is told counts more than what the bar shows."""
    progress = Progress()
    assert progress.read(b'windows of 6 frames\n\r  0%|   | 0/8', 0) is None
    nothing_yet = {'done': 0, 'total': 8, 'rate': None, 'left': None}
    assert progress.read(b' [00:00<?, ?frame/s]', 10) == nothing_yet
    seen = progress.read(b'\r 25%|## | 1/8 [00:04<00:05, 1frame/s]\r 30%| 2/8 [00:04<', 14)
    assert seen == {'done': 2, 'total': 8, 'rate': 0.5, 'left': 12}
    assert progress.read(b'00:05, 1frame/s]\nrestored 2', 15) is None
    assert progress.read(b'.5 frames/s\n', 16) is None
    seen = progress.read(b'\r 30%| 3/8 [00:04<00:05, 1frame/s]', 20)
    assert seen == {'done': 3, 'total': 8, 'rate': 2.5, 'left': 2}


def test_jobs_run_one_after_the_other(store, video, fake, started):
    fake(WAITS)
    first, second = store.add(video), store.add(video)
    runner = started()
    runner.enqueue(first, settings=SETTINGS)
    runner.enqueue(second, settings=SETTINGS)
    wait_for(lambda: first.done == 2 and first.left)
    assert (first.state, first.total, second.state) == ('running', 8, 'queued')
    assert first.rate > 0
    assert first.left == pytest.approx(6 / first.rate)
    fake(WORKS)
    runner.stop(first)
    wait_for(lambda: second.state == 'done')
    assert (first.state, first.done, first.left) == ('stopped', 2, None)
    assert second.summary == {'frames': 8}
    wait_for(lambda: read_job(store.folder(second)).done == 8)
    runner.enqueue(first)
    wait_for(lambda: first.state == 'done')


def test_a_waiting_job_is_stopped_without_being_run(store, video, fake, started):
    fake(WAITS)
    first, second = store.add(video), store.add(video)
    runner = started()
    runner.enqueue(first, settings=SETTINGS)
    runner.enqueue(second, settings=SETTINGS)
    wait_for(lambda: first.state == 'running')
    runner.stop(second)
    assert second.state == 'stopped'
    runner.stop(first)
    wait_for(lambda: first.state == 'stopped')
    assert second.state == 'stopped'


@pytest.mark.parametrize(
    ('script', 'message'),
    [
        ("end(state='failed', message=f'{folder}/walk.mp4: no')", 'walk.mp4: no'),
        ("bar(1); print('\\nMemoryError: 7', file=sys.stderr); sys.exit(1)", 'MemoryError: 7'),
        ('os.kill(os.getpid(), 9)', 'killed, perhaps for lack of memory'),
    ],
)
def test_why_a_job_failed(store, video, fake, started, script, message):
    fake(script)
    job = store.add(video)
    runner = started()
    runner.enqueue(job, settings=SETTINGS)
    wait_for(lambda: job.state == 'failed')
    assert message in job.message
    assert str(store.folder(job)) not in job.message
    fake(WORKS)
    runner.enqueue(job)
    wait_for(lambda: job.state == 'done')
    assert job.message == ''


def test_the_next_server_goes_on_where_one_was_closed(store, video, fake, started, tmp_path):
    fake(WAITS)
    first, second = store.add(video), store.add(video)
    runner = started()
    runner.enqueue(first, settings=SETTINGS)
    runner.enqueue(second, settings=SETTINGS)
    wait_for(lambda: first.done == 2)
    runner.close()
    assert read_job(store.folder(first)).state == 'running'
    fake(WORKS)
    again = JobStore(tmp_path)
    started(again)
    wait_for(lambda: all(job.state == 'done' for job in again.all()))
    assert [job.id for job in again.all()] == [second.id, first.id]
    # A worker that had just ended has left word of it, and is not started again.
    again.update(again.get(first.id), state='running', summary={})
    fake('sys.exit(1)')
    Runner(again)
    assert (again.get(first.id).state, again.get(first.id).summary) == ('done', {'frames': 8})


def test_a_process_that_can_not_be_started(store, video, started, monkeypatch):
    monkeypatch.setattr(module.sys, 'executable', '/none/python')
    job = store.add(video)
    runner = started()
    runner.enqueue(job, settings=SETTINGS)
    wait_for(lambda: job.state == 'failed')
    assert '/none/python' in job.message


def test_a_full_disk_does_not_end_the_queue(store, video, fake, started, monkeypatch):
    fake(WORKS)
    job, after = store.add(video), store.add(video)
    runner = started()
    runner.enqueue(job, settings=SETTINGS)
    wait_for(lambda: job.state == 'done')
    monkeypatch.setattr(store, 'update', full_disk)
    after.state, after.queued, after.settings = 'queued', 1.0, dict(SETTINGS)
    with pytest.warns(UserWarning, match='No space'):
        run_next(runner, after)


def full_disk(job, **changes):
    """Change a job as a store does, but for writing that down."""
    for name, value in changes.items():
        setattr(job, name, value)
    raise OutputError('No space')


def run_next(runner, job):
    runner._wake.set()
    wait_for(lambda: job.state == 'done')


@pytest.mark.slow
def test_the_real_worker_resumes_after_it_was_stopped(store, video, started, tmp_path):
    """The result is the one of an uninterrupted call, byte for byte."""
    clip = write_movie(video.with_name('long.mp4'), moving_clip(80, 16, 24))
    expected = tmp_path / 'expected.mp4'
    arguments = dict(device='cpu', dtype='float32', window=6)
    restore_video(clip, expected, 's2svr_s_deblur', progress=False, **arguments)
    job = store.add(clip)
    runner = started()
    settings = RestoreSettings.from_json({**SETTINGS, 'window': 6})
    runner.enqueue(job, **job.start_with(settings))
    # The first segment, of 48 frames, is whole then.
    wait_for(lambda: job.done >= 52 or job.state not in ('queued', 'running'), 120)
    runner.stop(job)
    wait_for(lambda: job.state != 'running')
    assert (job.state, job.message) == ('stopped', '')
    assert 52 <= job.done < job.total == 80
    runner.enqueue(job)
    wait_for(lambda: job.state not in ('queued', 'running'), 120)
    assert (job.state, job.message) == ('done', '')
    result = store.folder(job) / 'long_s2svr_s_deblur.mp4'
    assert result.read_bytes() == expected.read_bytes()
    assert job.summary['resumed'] >= 48
    assert job.summary['playable'] == ['play-input.mp4', 'play-result.mp4']
    assert (store.folder(job) / 'latest.jpg').read_bytes()[:2] == b'\xff\xd8'
    assert not result.with_name(f'{result.name}.parts').exists()
