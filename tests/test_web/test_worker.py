# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What a worker does, in this process; ``test_runner`` and ``test_browser`` start real ones."""

import json
import os

import cv2
import pytest
from helpers.clips import moving_clip
from helpers.videos import write_movie

from s2svr_mm import restore_video
from s2svr_mm.errors import DataError
from s2svr_mm.web.jobs import JobStore
from s2svr_mm.web.offers import RestoreSettings
from s2svr_mm.web.runner import Progress
from s2svr_mm.web.worker import report, restore

SETTINGS = {'model': 's2svr_s_deblur', 'device': 'cpu', 'dtype': 'float32', 'first': 2, 'end': 8}


@pytest.fixture
def store(tmp_path):
    return JobStore(tmp_path)


def start(store, video, **changed):
    """A job as it is when a worker begins with it."""
    job = store.add(video)
    settings = RestoreSettings.from_json({**SETTINGS, **changed})
    store.update(job, **job.start_with(settings))
    return job


def test_the_result_is_that_of_restore_video(store, video, tmp_path, capfd):
    job = start(store, video, window=4, suffix='.mkv')
    folder = store.folder(job)
    done = json.loads(json.dumps(restore(job, folder)))
    progress = Progress()
    seen = progress.read(capfd.readouterr().err.encode(), 0)
    assert (seen['done'], seen['total']) == (6, 6)
    # By the clock of the worker: the bar alone, all read at once, does not tell.
    assert seen['rate'] > 0
    expected = tmp_path / 'expected.mkv'
    arguments = dict(device='cpu', dtype='float32', window=4, progress=False)
    restore_video(video, expected, 's2svr_s_deblur', frames=(2, 8), **arguments)
    result = folder / 'walk_s2svr_s_deblur.mkv'
    assert result.stat().st_size == expected.stat().st_size
    assert (done['frames'], done['size'], done['damage']) == (6, [64, 48], None)
    # Of an input that is cut, and of Matroska, there are copies.
    assert done['playable'] == ['play-input.mp4', 'play-result.mp4']
    assert not os.path.samefile(folder / 'play-result.mp4', result)
    assert cv2.imread(str(folder / 'latest.jpg')).shape == (48, 64, 3)
    # A server that ended before it could write down what was done asks again.
    before = result.stat().st_mtime_ns
    assert restore(job, folder) == done
    assert result.stat().st_mtime_ns == before


def test_a_broken_input_is_an_error_of_the_user(store, video):
    job = start(store, video)
    video.write_bytes(b'broken')
    with pytest.raises(DataError, match=r'walk\.mp4'):
        restore(job, store.folder(job))


def test_report(store, video, tmp_path):
    truth = write_movie(tmp_path / 'truth.mkv', moving_clip(12, 48, 64), codec='ffv1')
    job = store.add(video, kind='report', settings=SETTINGS, truth=str(truth), truth_frames=3)
    assert report(job, store.folder(job)) == {'report': True}
    page = (store.folder(job) / 'report' / 'report.html').read_text()
    assert 's2svr_s_deblur' in page
    rows = (store.folder(job) / 'report' / 'results.csv').read_text().splitlines()
    assert any('s2svr_s_deblur' in row and ',2,' in row for row in rows)
