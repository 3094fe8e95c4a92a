# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest
from helpers.clips import moving_clip, write_frames
from helpers.tool_process import ToolProcess


@pytest.fixture
def prepare(tmp_path):
    def run(*args):
        return ToolProcess('prepare_data', args, {}, tmp_path).wait()

    return run


@pytest.fixture
def videos(tmp_path):
    for i, name in enumerate(('walk', 'run', 'swim')):
        write_frames(tmp_path / 'mine' / name, moving_clip(4, 64, 64, seed=i))
    return tmp_path / 'mine'


def test_own_clips(prepare, videos, tmp_path):
    args = ['clips', '--src', videos, '--dst', tmp_path / 'data', '--val', 'run', '--workers', 2]
    result = prepare(*args)
    assert result.status == 0, result.output
    assert 'data is ready: 3 clips, 12 frames; val: run' in result.output
    assert 'Preparing: 100%' in result.output
    assert len(list((tmp_path / 'data').glob('*/*/*/*.png'))) == 24
    assert prepare(*args).status == 0


def test_published_data_set(prepare, tmp_path):
    for kind, size in (('sharp', 64), ('sharp_bicubic/X4', 16)):
        for clip in ('000', '001'):
            write_frames(tmp_path / f'REDS/train_{kind}' / clip, moving_clip(3, size, size))
    args = ['reds', '--src', tmp_path / 'REDS', '--dst', tmp_path / 'data', '--workers', 1]
    result = prepare(*args)
    assert result.status == 1
    assert 'error: This is not all of REDS' in result.output
    assert 'train_sharp/{clip}: 2 of 240 clips are there; missing: 002, 003' in result.output
    assert 'Traceback' not in result.output
    result = prepare(*args, '--allow-partial')
    assert result.status == 0, result.output
    assert (tmp_path / 'data/meta_info_reds4_val.txt').read_text().startswith('000/00000000.png')


def test_messages(prepare, tmp_path):
    result = prepare('clips', '--src', tmp_path / 'gone', '--dst', tmp_path / 'data')
    assert result.status == 1
    assert f'error: {tmp_path}/gone is not a folder' in result.output
    result = prepare('imagenet', '--src', tmp_path, '--dst', tmp_path / 'data')
    assert result.status == 2
    assert 'vimeo90k' in result.output
