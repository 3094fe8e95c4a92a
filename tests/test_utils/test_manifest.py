# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import json

import cv2
import numpy as np
import pytest
from PIL import Image

from s2svr_mm.errors import OutputError
from s2svr_mm.io.images import write_png
from s2svr_mm.utils.manifest import (
    manifest_path,
    not_made,
    remove_made,
    write_made,
)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_own_files_are_replaced_and_others_are_not(tmp_path):
    folder = tmp_path / 'out'
    write_made(folder, {'a': b'1', 'b': b'2'})
    (folder / 'theirs').write_text('precious')
    write_made(folder, {'a': b'3'})
    assert contents(folder) == {'a': b'3', 'b': b'2', 'theirs': b'precious'}
    with pytest.raises(OutputError, match='out holds theirs, which this program did not make'):
        write_made(folder, {'b': b'4', 'theirs': b'4'})
    assert contents(folder) == {'a': b'3', 'b': b'2', 'theirs': b'precious'}


def test_what_was_changed_since_is_no_longer_ours(tmp_path):
    write_made(tmp_path, {'edited': b'1', 'link': b'1', 'same': b'1'})
    (tmp_path / 'edited').write_text('by hand')
    (tmp_path / 'link').unlink()
    (tmp_path / 'link').symlink_to(tmp_path / 'same')
    (tmp_path / 'folder').mkdir()
    names = 'edited', 'link', 'same', 'folder', 'missing'
    assert not_made(tmp_path, names) == ['edited', 'link', 'folder']


def test_only_what_holds_nothing_else_is_removed(tmp_path):
    """Of a folder below the root, whose own contents stay free of manifests."""
    folder = tmp_path / 'set' / 'clip'
    write_made(folder, {'a': b'1'}, tmp_path)
    assert contents(folder) == {'a': b'1'}
    (folder / 'notes.txt').write_text('precious')
    with pytest.raises(OutputError, match=r'clip holds notes\.txt'):
        remove_made(folder, tmp_path)
    assert contents(folder) == {'a': b'1', 'notes.txt': b'precious'}
    (folder / 'notes.txt').unlink()
    (tmp_path / 'link').symlink_to(folder)
    with pytest.raises(OutputError, match='holds link'):
        remove_made(tmp_path / 'link', tmp_path)
    remove_made(folder, tmp_path)
    remove_made(folder, tmp_path)
    assert list((tmp_path / 'set').iterdir()) == []


def test_a_png_tells_itself_whose_it_is(tmp_path):
    frame = np.random.default_rng(0).integers(0, 65536, (5, 7, 3)).astype(np.uint16)
    ours, theirs = tmp_path / 'ours.png', tmp_path / 'theirs.png'
    write_png(ours, frame)
    cv2.imwrite(str(theirs), frame[..., ::-1])
    # Everybody reads it.
    assert np.array_equal(cv2.imread(str(ours), cv2.IMREAD_UNCHANGED)[..., ::-1], frame)
    with Image.open(ours) as image:
        image.load()
        assert list(image.text) == ['s2svr_mm']
    assert not_made(tmp_path, ['ours.png', 'theirs.png']) == ['theirs.png']
    content = ours.read_bytes()
    for place in (0, 20, 40, len(content) - 50, len(content) - 1):
        ours.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert not_made(tmp_path, ['ours.png']) == ['ours.png']
    for shorter in (b'', content[:10], content[:-1]):
        ours.write_bytes(shorter)
        assert not_made(tmp_path, ['ours.png']) == ['ours.png']


@pytest.mark.parametrize(
    'text', ['', '[]', '{"name": "webapp"}', json.dumps({'made_by': 'x', 'files': {}})]
)
def test_a_foreign_manifest_stops_the_call(tmp_path, text):
    manifest_path(tmp_path).parent.mkdir()
    manifest_path(tmp_path).write_text(text)
    with pytest.raises(OutputError, match='damaged or was not written by s2svr_mm'):
        write_made(tmp_path, {'a': b'1'})
    assert manifest_path(tmp_path).read_text() == text
    assert not (tmp_path / 'a').exists()
