# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Who does not come from the page gets nothing and starts nothing."""

import pytest

ADDRESSES = ['/', '/api/jobs', '/api/events', '/api/files', '/page/app.js', '/jobs/x/result']


@pytest.mark.parametrize('address', ADDRESSES)
def test_nothing_is_shown_without_the_token(site, address):
    for cookies in ({}, {'s2svr_8017': 'guess'}, {'s2svr_8018': 'secret'}):
        visitor = site.visitor()
        visitor.cookies.update(cookies)
        answer = visitor.get(address)
        assert (answer.status_code, 'token' in answer.text) == (403, True)
    assert site.visitor().get('/', params={'token': 'guess'}).status_code == 403


def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_have(site):
    answer = site.visitor().get('/', params={'token': 'secret'}, follow_redirects=False)
    assert (answer.status_code, answer.headers['location']) == (303, '/')
    cookie = answer.headers['set-cookie']
    assert cookie.startswith('s2svr_8017=secret;')
    assert 'HttpOnly' in cookie
    assert 'SameSite=strict' in cookie
    page = site.client.get('/')
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers['content-security-policy']
    assert page.headers['x-content-type-options'] == 'nosniff'


FOREIGN = ['evil.example:8017', 'evil.example', '127.0.0.1.evil.example', '']


@pytest.mark.parametrize('host', FOREIGN)
def test_another_name_for_this_machine_is_refused(site, host):
    assert site.client.get('/api/jobs', headers={'host': host}).status_code == 403


@pytest.mark.parametrize('host', ['localhost:8017', '127.0.0.1:9000', '[::1]:8017'])
def test_local_names_are_known(site, host):
    assert site.client.get('/api/jobs', headers={'host': host}).status_code == 200


@pytest.mark.parametrize(
    'origin', ['http://evil.example', 'null', 'http://127.0.0.1:8018', 'http://localhost:8017', '']
)
def test_a_foreign_origin_changes_nothing(site, video, origin):
    """Even with the cookie: cookies belong to a machine, whatever the port."""
    job = site.upload(video)
    address = f'/api/jobs/{job["id"]}'
    headers = {'origin': origin}
    settings = {'settings': {'model': 's2svr_s_x4'}}
    for answer in (
        site.client.post(f'{address}/start', json=settings, headers=headers),
        site.client.post('/api/jobs', json={'path': 'walk.mp4'}, headers=headers),
        site.client.put('/api/jobs?name=a.mp4', content=video.read_bytes(), headers=headers),
        site.client.delete(address, headers=headers),
    ):
        assert answer.status_code == 403
    (left,) = site.store.all()
    assert left.state == 'new'
