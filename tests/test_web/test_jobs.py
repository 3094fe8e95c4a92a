# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import json

import pytest

from s2svr_mm.errors import ConfigError, DataError
from s2svr_mm.web.jobs import JobStore, read_job
from s2svr_mm.web.offers import RestoreSettings


@pytest.fixture
def store(tmp_path):
    return JobStore(tmp_path)


def test_jobs_outlive_the_store(store, video, tmp_path):
    job = store.add(video)
    given = job.start_with(RestoreSettings('s2svr_s_x4', crf=20))
    store.update(job, state='queued', queued=1.5, **given)
    before = store.version
    store.update(job, done=3, total=12)
    assert store.version > before
    (again,) = JobStore(tmp_path).all()
    # Progress is written down with the next change of state only.
    assert (again.state, again.done, again.restore_settings.crf) == ('queued', 0, 20)
    store.update(job, state='stopped')
    assert read_job(store.folder(job)) == job
    shown = job.to_page()
    assert str(tmp_path) not in json.dumps(shown)
    assert shown['result'] == 'walk_s2svr_s_x4.mp4'
    command = f's2svr restore walk.mp4 {shown["result"]} --model s2svr_s_x4 --crf 20'
    assert shown['command'] == command
    # A model that is bundled no more does not hide what was done with it.
    store.update(job, settings={'model': 'gone'})
    assert JobStore(tmp_path).get(job.id).to_page()['command'] == command


def test_a_broken_record_is_left_alone(store, video, tmp_path):
    job, other = store.add(video), store.add(video)
    record = store.folder(job) / 'job.json'
    record.write_text('{"id":')
    with pytest.warns(UserWarning, match='no record of a job'):
        assert [job.id for job in JobStore(tmp_path).all()] == [other.id]
    assert record.read_text() == '{"id":'
    record.write_text(json.dumps({**json.loads((store.folder(other) / 'job.json').read_text())}))
    with pytest.raises(DataError, match='is of job'):
        read_job(store.folder(job))


def test_removing_a_job_removes_what_is_its_alone(store, video, tmp_path):
    upload = store.new_upload('walk.mp4')
    upload.write_bytes(video.read_bytes())
    arriving = store.new_upload('later.mp4')
    first, second, picked = store.add(upload), store.add(upload), store.add(video)
    store.remove(first)
    assert upload.is_file()
    assert not store.folder(first).exists()
    store.remove(second)
    assert not upload.parent.exists()
    store.remove(picked)
    assert video.is_file()
    assert arriving.parent.is_dir()
    # What was not uploaded to the end is of no use to the next store.
    (tmp_path / 'uploads' / 'mine').mkdir()
    JobStore(tmp_path)
    assert [path.name for path in (tmp_path / 'uploads').iterdir()] == ['mine']


def test_a_job_at_work_is_not_removed(store, video):
    job = store.add(video)
    store.update(job, state='queued')
    with pytest.raises(ConfigError, match='stop it first'):
        store.remove(job)


def test_messages_tell_names_and_no_places(store):
    upload = store.new_upload('walk.mp4')
    assert store.readable(f'Cannot open {upload}: broken') == 'Cannot open walk.mp4: broken'
