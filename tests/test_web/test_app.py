# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.clips import moving_clip
from helpers.videos import write_movie

import s2svr_mm
from s2svr_mm import VideoRestorer, load_model
from s2svr_mm.io.clips import open_reader
from s2svr_mm.utils.files import write_bytes

PAGE = Path(s2svr_mm.__file__).parent / 'web' / 'page'

QUICK = {'model': 's2svr_s_deblur', 'device': 'cpu', 'dtype': 'float32'}


def files_below(folder):
    return sorted(path.name for path in folder.rglob('*') if path.is_file())


def test_upload_and_pick(site, video, tmp_path):
    job = site.upload(video)
    assert (job['name'], job['state']) == ('walk.mp4', 'new')
    assert (job['info']['width'], job['info']['frames']) == (64, 12)
    uploaded = site.store.get(job['id']).source
    assert Path(uploaded).read_bytes() == video.read_bytes()
    picked = site.client.post('/api/jobs', json={'path': 'walk.mp4'}).json()
    assert site.store.get(picked['id']).source == str(video)
    assert [j['id'] for j in site.client.get('/api/jobs').json()] == [picked['id'], job['id']]
    listed = site.client.get('/api/files').json()
    assert listed['files'] == [{'name': 'walk.mp4', 'size': video.stat().st_size}]
    copy = site.client.post(f'/api/jobs/{job["id"]}/copy').json()
    assert copy['id'] != job['id']
    assert site.store.get(copy['id']).source == uploaded


def test_a_broken_file_leaves_a_message_and_nothing_else(site, tmp_path):
    broken = tmp_path / 'broken.mp4'
    broken.write_bytes(b'no video' * 100)
    answer = site.client.put('/api/jobs?name=broken.mp4', content=broken.read_bytes())
    assert answer.status_code == 400
    assert answer.json()['error'].startswith('Cannot open the video broken.mp4:')
    assert files_below(tmp_path / 's2svr_web') == []
    assert site.store.all() == []


@pytest.mark.parametrize('declared', [True, False])
def test_uploads_are_bounded(site, tmp_path, declared):
    content = b'0' * 200_001
    chunks = (content[i : i + 1000] for i in range(0, len(content), 1000))
    sent = content if declared else chunks
    answer = site.client.put('/api/jobs?name=a.mp4', content=sent)
    assert answer.status_code == 413
    assert '--max-upload' in answer.json()['error']
    assert files_below(tmp_path / 's2svr_web') == []


@pytest.mark.parametrize('sent', ['[]', '{', '{"path": 3}', '{"path": "../x"}', '{}', '1' * 70000])
def test_what_is_no_request_is_refused(site, sent):
    answer = site.client.post('/api/jobs', content=sent)
    assert answer.status_code in (400, 413)
    assert answer.json()['error']


def test_a_picture_is_served_whole_while_it_is_replaced(site, video, monkeypatch):
    """A file that is sent as one is opened after its length was announced."""
    job = site.upload(video)['id']
    path = site.store.folder(site.store.get(job)) / 'latest.jpg'
    pictures = [b'1' * 1000, b'2' * 2000]
    anyio = pytest.importorskip('starlette.responses').anyio
    open_file = anyio.open_file

    async def replaced_before(*args, **kwargs):
        write_bytes(path, pictures[1])
        return await open_file(*args, **kwargs)

    monkeypatch.setattr(anyio, 'open_file', replaced_before)
    write_bytes(path, pictures[0])
    answer = site.client.get(f'/jobs/{job}/latest.jpg')
    assert answer.content in pictures
    assert answer.headers['content-length'] == str(len(answer.content))
    assert answer.headers['content-type'] == 'image/jpeg'


def test_only_files_of_the_job_are_served(site, video, tmp_path):
    job = site.upload(video)['id']
    folder = site.store.folder(site.store.get(job))
    (folder / 'play-input.mp4').write_bytes(bytes(range(100)))
    (tmp_path / 'play-input.mp4').write_bytes(b'secret')
    part = site.client.get(f'/jobs/{job}/play-input.mp4', headers={'range': 'bytes=10-19'})
    assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
    assert part.headers['content-type'] == 'video/mp4'
    for name in (
        'job.json',
        'outcome.json',
        'result',
        'report.html',
        'input-0.png',
        '../../token',
        '..%2F..%2Ftoken',
        '%2e%2e/%2e%2e/token',
        '..%2Fplay-input.mp4',
        '%2Fetc%2Fpasswd',
        '..%5Cjob.json',
        'play-input.mp4%00',
    ):
        answer = site.client.get(f'/jobs/{job}/{name}')
        assert answer.status_code == 404, name
    for address in (
        f'/jobs/..%2F..%2F{tmp_path.name}/play-input.mp4',
        '/jobs/../play-input.mp4',
        '/page/../app.py',
        '/page/..%2Fapp.py',
        '/page/%2e%2e/%2e%2e/__init__.py',
    ):
        assert site.client.get(address).status_code == 404, address


def test_the_page_is_whole_and_fetches_nothing_from_elsewhere(site):
    page = site.client.get('/')
    assert page.headers['content-type'].startswith('text/html')
    names = {'style.css', 'icon.svg'}
    todo = ['app.js']
    while todo:
        name = todo.pop()
        names.add(name)
        text = site.client.get(f'/page/{name}').text
        todo += [other for other in re.findall(r"'\./(\S+)'", text) if other not in names]
    assert names | {'index.html'} == {path.name for path in PAGE.iterdir()}
    for name in names:
        text = site.client.get(f'/page/{name}').text.replace('http://www.w3.org/2000/svg', '')
        assert 'http:' not in text
        assert 'https:' not in text
    assert 'http' not in page.text


def test_news_end_with_the_server(site, video):
    job = site.upload(video)
    answers = iter([False, False, True])
    site.app.state.is_ending = lambda: next(answers)
    first, *others = site.client.get('/api/events').text.split('\n\n')
    assert [each['id'] for each in json.loads(first.removeprefix('data: '))] == [job['id']]
    assert others == ['']


def test_preview_gives_the_frames_that_the_restorer_gives(site, video):
    job = site.upload(video)['id']
    for at, first in ((4, 4), (11, 7)):
        answer = site.client.post(f'/api/jobs/{job}/preview', json={'settings': QUICK, 'at': at})
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert (told['first'], told['count'], told['size']) == (first, 5, [64, 48])
        frames = [frame.rgb for frame in open_reader(str(video)).iterate(first, first + 5)]
        network = load_model('s2svr_s_deblur')
        expected = list(VideoRestorer(network, device='cpu', dtype='float32').restore(frames))
        for number in range(5):
            for name, frame in (('input', frames[number]), ('result', expected[number])):
                png = site.client.get(f'/jobs/{job}/{name}-{number}.png').content
                pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
                assert np.array_equal(pixels[..., ::-1], frame), (name, number)


def test_estimate_follows_length_and_settings(site, tmp_path, video):
    long = write_movie(video.with_name('long.mp4'), moving_clip(100, 48, 64))

    def estimate(path, **changed):
        job = site.client.post('/api/jobs', json={'path': path.name}).json()['id']
        settings = {**QUICK, **changed}
        sent = {'settings': settings, 'at': 0}
        return site.client.post(f'/api/jobs/{job}/preview', json=sent).json()

    whole = estimate(long)
    # A fifth of the frames, which all fit into one window.
    part = estimate(long, first=40, end=60)
    assert part['seconds'] < whole['seconds']
    # All at once, or five at a time.
    assert estimate(long, window=5)['memory'] < whole['memory']
    assert whole['memory'] > 2**28


def test_preview_of_a_short_video_and_of_a_bad_moment(site, tmp_path, video):
    short = write_movie(video.with_name('short.mp4'), moving_clip(2, 48, 64))
    job = site.client.post('/api/jobs', json={'path': short.name}).json()['id']
    sent = {'settings': QUICK, 'at': 1}
    assert site.client.post(f'/api/jobs/{job}/preview', json=sent).json()['count'] == 2
    for sent, message in (
        ({'settings': QUICK, 'at': 'x'}, 'at a frame'),
        ({'settings': QUICK | {'first': 5}, 'at': 1}, 'none from 5 on'),
        ({'at': 1}, 'model'),
    ):
        answer = site.client.post(f'/api/jobs/{job}/preview', json=sent)
        assert answer.status_code == 400
        assert message in answer.json()['error']


def test_starting_and_stopping(site, video):
    job = site.upload(video)['id']
    address = f'/api/jobs/{job}'
    bad = site.client.post(f'{address}/start', json={'settings': {**QUICK, 'window': 0}})
    assert (bad.status_code, site.store.get(job).state) == (400, 'new')
    assert site.client.post(f'{address}/start', json={'settings': QUICK}).status_code == 200
    assert site.store.get(job).state == 'queued'
    again = site.client.post(f'{address}/start', json={'settings': QUICK})
    assert 'is queued already' in again.json()['error']
    assert site.client.delete(address).status_code == 400
    site.client.post(f'{address}/stop')
    assert site.store.get(job).state == 'stopped'
    # What is done was done with the settings of the first start.
    site.client.post(f'{address}/start', json={'settings': {**QUICK, 'window': 3}})
    assert site.store.get(job).settings['window'] is None
    site.client.post(f'{address}/stop')
    assert site.client.delete(address).status_code == 200
    assert site.client.post(f'{address}/start', json={}).status_code == 404


def test_report_is_a_job_of_its_own(site, video, tmp_path):
    job = site.upload(video)['id']
    site.client.post(f'/api/jobs/{job}/start', json={'settings': QUICK})
    made = site.client.post(f'/api/jobs/{job}/report?frames=4', json={'path': 'walk.mp4'}).json()
    report = site.store.get(made['id'])
    assert (report.kind, report.of, report.state) == ('report', job, 'queued')
    assert (report.truth, report.truth_frames) == (str(video), 4)
    assert report.settings == site.store.get(job).settings
    # What was uploaded for a report that cannot be made does not stay.
    before = files_below(tmp_path / 's2svr_web')
    Path(site.store.get(job).source).write_bytes(b'broken')
    content = video.read_bytes()
    assert site.client.put(f'/api/jobs/{job}/report?name=a.mp4', content=content).status_code == 400
    assert files_below(tmp_path / 's2svr_web') == before
