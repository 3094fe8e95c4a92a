# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import re

import pytest
from helpers.clips import moving_clip
from helpers.videos import write_movie

from s2svr_mm.errors import DataError
from s2svr_mm.web.sources import describe, inside, list_folder, safe_name


@pytest.fixture
def root(tmp_path):
    root = tmp_path / 'root'
    (root / 'shots' / 'deep').mkdir(parents=True)
    (root / '.hidden').mkdir()
    for name in ('b10.mp4', 'b9.mkv', 'notes.txt', 'shots/a.webm', '.secret.mp4'):
        (root / name).write_bytes(b'123')
    (tmp_path / 'outside.mp4').write_bytes(b'1')
    (root / 'link.mp4').symlink_to(tmp_path / 'outside.mp4')
    (root / 'away').symlink_to(tmp_path)
    return root


def test_list_folder(root):
    assert list_folder(root, '') == {
        'folder': '',
        'folders': ['shots'],
        'files': [{'name': 'b9.mkv', 'size': 3}, {'name': 'b10.mp4', 'size': 3}],
    }
    assert list_folder(root, 'shots/') == {
        'folder': 'shots',
        'folders': ['deep'],
        'files': [{'name': 'a.webm', 'size': 3}],
    }


@pytest.mark.parametrize(
    'path', ['..', '../outside.mp4', 'link.mp4', 'away', 'away/outside.mp4', '/etc', 'shots/../..']
)
def test_what_lies_outside_is_not_found(root, path):
    with pytest.raises(DataError, match=r'is (not in the|no) folder'):
        list_folder(root, path)
    with pytest.raises(DataError, match='is not in the folder'):
        inside(root, path)


def test_a_folder_that_is_shut(root, monkeypatch):
    def shut(folder):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr('os.scandir', shut)
    with pytest.raises(DataError, match="'shots' cannot be read: Permission denied"):
        list_folder(root, 'shots')


@pytest.mark.parametrize('path', ['none.mp4', 'a\0b', 'x' * 5000, 'b10.mp4/x'])
def test_what_is_not_there(root, path):
    with pytest.raises(DataError, match='there is no'):
        inside(root, path)


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('holiday (1).MP4', 'holiday (1).MP4'),
        ('../../etc/passwd', 'passwd'),
        ('C:\\videos\\a.mov', 'a.mov'),
        ('größe.mkv', 'größe.mkv'),
        ('a\nb<script>.mp4', 'a_b_script_.mp4'),
        ('..', 'video'),
        ('', 'video'),
        ('/', 'video'),
        ('é' * 300 + '.mp4', 'é' * 40 + '.mp4'),
        ('job.json', 'job.json'),
    ],
)
def test_safe_name(name, expected):
    assert safe_name(name) == expected
    assert re.fullmatch(r'[^/\0]{1,60}', safe_name(name))


def test_describe(tmp_path):
    times = [0, 40, 80, 120, 180, 240]
    path = write_movie(tmp_path / 'a.mkv', moving_clip(6, 48, 64), times, codec='libx265')
    told = describe(path)
    assert told == {
        'width': 64,
        'height': 48,
        'frames': 6,
        'seconds': pytest.approx(0.28, abs=0.03),
        'rate': 25,
        'codec': 'hevc, yuv420p',
        'bytes': path.stat().st_size,
        'notes': [],
    }
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match=r'a\.mkv'):
        describe(path)
