# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import errno
import json
import threading

import pytest
from helpers.clips import moving_clip
from helpers.restoring import UNEVEN, Stop, content, run
from helpers.videos import write_movie

from s2svr_mm.errors import OutputError
from s2svr_mm.io import segments
from s2svr_mm.restoration.resume import ResumeFolder


@pytest.mark.parametrize('name', ['out.mkv', 'out'])
@pytest.mark.parametrize(('calls', 'segment'), [(2, 4), (4, 4), (6, 4), (3, 2), (4, 2)])
def test_resuming_ends_in_the_same_bytes(tmp_path, name, calls, segment):
    # On frames of 32x24 the bytes differed now and then on a processor with AVX-512.
    movie = write_movie(tmp_path / 'in.mkv', moving_clip(18, 96, 128), times=UNEVEN, sound=True)
    run(movie, tmp_path / f'straight_{name}', segment=segment)
    with pytest.raises(KeyboardInterrupt):
        run(movie, tmp_path / name, Stop(calls), segment=segment)
    assert not (tmp_path / name).exists()
    assert (tmp_path / f'{name}.parts').is_dir()
    assert not list((tmp_path / f'{name}.parts').glob('*/*.part'))
    summary = run(movie, tmp_path / name, segment=segment)
    assert (summary.resumed > 0) == (calls > 2)
    assert not (tmp_path / f'{name}.parts').exists()
    assert content(tmp_path / name) == content(tmp_path / f'straight_{name}')
    assert not [t for t in threading.enumerate() if t.name.startswith('restore')]


def test_resuming_with_other_arguments_is_refused(movie, tmp_path):
    out = tmp_path / 'out.mkv'
    with pytest.raises(KeyboardInterrupt):
        run(movie, out, Stop(3), segment=4)
    with pytest.raises(OutputError, match=r'another codec.*--overwrite to start anew'):
        run(movie, out, segment=4, crf=30)
    assert (tmp_path / 'out.mkv.parts' / 'manifest.json').is_file()
    assert run(movie, out, segment=4, crf=30, overwrite=True).resumed == 0


def test_resuming_keeps_to_what_was_decided(movie, tmp_path):
    out = tmp_path / 'out.mkv'
    with pytest.raises(KeyboardInterrupt):
        run(movie, out, Stop(3), segment=4)
    path = tmp_path / 'out.mkv.parts' / 'manifest.json'
    manifest = json.loads(path.read_text())
    assert manifest['beginning']['decision']['plan']['window'] == 6
    manifest['beginning']['decision']['dtype'] = 'bfloat16'
    path.write_text(json.dumps(manifest))
    assert run(movie, out, segment=4).decision.dtype == 'bfloat16'


def test_two_at_once_are_refused(movie, tmp_path):
    with (
        ResumeFolder(tmp_path / 'out.mkv'),
        pytest.raises(OutputError, match=r'another process is writing to .*out\.mkv'),
    ):
        run(movie, tmp_path / 'out.mkv')
    assert run(movie, tmp_path / 'out.mkv').frames == 18


def test_full_disk(movie, tmp_path, monkeypatch):
    """Whatever is written last fails; then there is room again."""
    real, calls = segments.SegmentEncoder.finish, []

    def finish(self):
        calls.append(self)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, 'No space left on device')
        real(self)

    with monkeypatch.context() as patch:
        patch.setattr(segments.SegmentEncoder, 'finish', finish)
        with pytest.raises(
            OutputError, match=r'No space left.*What is done is kept there.*same command again'
        ):
            run(movie, tmp_path / 'out.mkv', segment=4)
    assert not (tmp_path / 'out.mkv').exists()
    assert run(movie, tmp_path / 'out.mkv', segment=4).resumed > 0
