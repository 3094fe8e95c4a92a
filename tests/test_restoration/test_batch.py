# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Folders of videos."""

import gc
import json
import multiprocessing
import shutil

import pytest
from helpers.clips import moving_clip, write_frames
from helpers.restoring import Same, Stop, content, restorer_of, run
from helpers.videos import write_movie
from torch import nn

from s2svr_mm.errors import ConfigError, DataError, OutputError
from s2svr_mm.io.folders import estimated_frames, find_videos, is_batch
from s2svr_mm.restoration.batch import LOG, restore_videos
from s2svr_mm.restoration.claims import Worker
from s2svr_mm.restoration.options import OutputOptions


@pytest.fixture
def videos(tmp_path):
    """Two of one name, one in a folder, one of a kind that is not written, and other files."""
    folder = tmp_path / 'videos'
    (folder / 'more').mkdir(parents=True)
    first = write_movie(folder / 'a.mp4', moving_clip(9, 32, 32))
    shutil.copy(write_movie(tmp_path / 'a.mkv', moving_clip(7, 32, 32, seed=1)), folder)
    shutil.copy(first, folder / 'more' / 'b 10.mov')
    shutil.copy(first, folder / 'more' / 'b 9.mpg')
    (folder / 'notes.txt').write_text('text')
    (folder / '.hidden.mp4').write_text('nothing')
    return folder


OUTPUTS = {'a.mkv': 'a.mkv', 'a.mp4': 'a.mp4', 'more/b 9.mpg': 'more/b 9.mpg.mkv'}
OUTPUTS['more/b 10.mov'] = 'more/b 10.mov'


def restore(videos, network=None, **kwargs):
    kwargs = {'options': OutputOptions(segment=4), 'progress': False, **kwargs}
    return restore_videos(
        videos, videos.parent / 'restored', restorer_of(network or Same()), **kwargs
    )


def log_of(videos):
    lines = (videos.parent / 'restored' / LOG).read_text().splitlines()
    records = map(json.loads, lines)
    return [record for record in records if record['status'] != 'begun']


def test_each_is_restored_as_alone(videos, tmp_path):
    summary = restore(videos)
    assert {o.source: o.output for o in summary} == OUTPUTS
    assert [o.source for o in summary] == [*list(OUTPUTS)[:2], 'more/b 9.mpg', 'more/b 10.mov']
    assert {(o.status, o.message) for o in summary} == {('done', '')}
    for source, output in OUTPUTS.items():
        alone = tmp_path / f'alone_{output.replace("/", "_")}'
        run(videos / source, alone, segment=4)
        assert content(tmp_path / 'restored' / output) == content(alone)
    assert '| a.mkv | a.mkv | done | 7 |' in str(summary)
    assert [line['source'] for line in log_of(videos)] == [o.source for o in summary]
    found = [p for p in (tmp_path / 'restored').rglob('*') if p.is_file()]
    assert len(found) == len(OUTPUTS) + 1


def test_a_bad_one_does_not_stop_the_others(videos):
    (videos / 'a.mp4').write_bytes(b'no video')
    (videos / 'b.mkv').write_bytes(b'')
    summary = restore(videos)
    assert [o.source for o in summary.failed] == ['a.mp4', 'b.mkv']
    assert sum(o.status == 'done' for o in summary) == 3
    assert 'a.mp4' in summary.failed[0].message
    assert f'failed: a.mp4: {summary.failed[0].message}' in str(summary)
    assert [line['status'] for line in log_of(videos)].count('failed') == 2


def test_so_does_a_bug_not(videos, capsys):
    class Bug(nn.Module):
        def forward(self, x):
            if x.shape[1] == 3:
                raise RuntimeError('out of memory')
            return x

    shutil.copy(write_movie(videos.parent / 'c.mkv', moving_clip(3, 32, 32)), videos)
    summary = restore(videos, Bug())
    assert [o.source for o in summary.failed] == ['c.mkv']
    assert 'Traceback' in capsys.readouterr().err


def test_a_stopped_call_resumes(videos):
    with pytest.raises(KeyboardInterrupt):
        restore(videos, Stop(4))
    assert [line['source'] for line in log_of(videos)] == ['a.mkv']
    before = (videos.parent / 'restored' / 'a.mkv').stat()
    summary = restore(videos)
    assert summary[0].message == 'restored by an earlier call'
    assert {o.status for o in summary} == {'done'}
    assert (videos.parent / 'restored' / 'a.mkv').stat() == before
    assert {o.message for o in restore(videos)} == {'restored by an earlier call'}


def test_killed_before_it_was_written_down(videos):
    restore(videos)
    log = videos.parent / 'restored' / LOG
    log.write_text(''.join(line for line in log.open() if '"status": "done"' not in line))
    assert {(o.status, o.message) for o in restore(videos)} == {
        ('done', 'restored by an earlier call')
    }
    (videos.parent / 'restored' / 'a.mp4.parts').mkdir()
    (videos.parent / 'restored' / 'a.mp4.parts' / 'manifest.json').write_text(
        '{"made_by": "s2svr_mm"}'
    )
    # Half done, so what is there is somebody else's.
    assert [o.source for o in restore(videos).failed] == ['a.mp4']


def test_existing_outputs(videos):
    restored = videos.parent / 'restored'
    restored.mkdir()
    (restored / 'a.mp4').write_text('mine')
    summary = restore(videos)
    assert [(o.source, 'exists already' in o.message) for o in summary.failed] == [('a.mp4', True)]
    skipped = restore(videos, skip_existing=True)
    assert [o.source for o in skipped if o.status == 'skipped'] == ['a.mp4']
    assert not skipped.failed
    assert (restored / 'a.mp4').read_text() == 'mine'
    assert not restore(videos, options=OutputOptions(segment=4, overwrite=True)).failed
    # Other settings make other videos.
    assert len(restore(videos, options=OutputOptions(segment=4, crf=30)).failed) == 4


def test_pattern(videos):
    assert [o.source for o in restore(videos, pattern='*.mp4')] == ['a.mp4']
    assert find_videos(str(videos), 'more/*') == ['more/b 9.mpg', 'more/b 10.mov']
    with pytest.raises(DataError, match=r"no videos that match '\*.webm'"):
        restore(videos, pattern='*.webm')


def test_outputs_among_the_inputs_are_no_inputs(videos):
    kwargs = dict(options=OutputOptions(segment=4), progress=False)
    for _ in range(2):
        summary = restore_videos(videos, videos / 'new', restorer_of(Same()), **kwargs)
        assert len(summary) == 4
    with pytest.raises(ConfigError, match='give another folder'):
        restore_videos(videos, videos, restorer_of(Same()), **kwargs)


def test_what_cannot_be(videos, tmp_path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DataError, match='holds no videos'):
        restore_videos(tmp_path / 'empty', tmp_path / 'out', restorer_of(Same()))
    (tmp_path / 'file').write_text('mine')
    with pytest.raises(ConfigError, match='give a folder for the output'):
        restore_videos(videos, tmp_path / 'file', restorer_of(Same()))
    with pytest.raises(ConfigError, match='--compare is for one video'):
        restore(videos, options=OutputOptions(compare='c.mp4'))
    shutil.copy(videos / 'a.mp4', videos / 'A.MP4')
    with pytest.raises(OutputError, match=r'A\.MP4 and a\.mp4|a\.mp4 and A\.MP4'):
        restore(videos)
    assert not (tmp_path / 'restored').exists()


def test_a_log_of_somebody_else_is_not_touched(videos):
    (videos.parent / 'restored').mkdir()
    (videos.parent / 'restored' / LOG).write_text('{"mine": 1}\n')
    with pytest.raises(OutputError, match='was not written by s2svr_mm'):
        restore(videos)
    assert (videos.parent / 'restored' / LOG).read_text() == '{"mine": 1}\n'


def test_half_a_line_of_the_log_does_no_harm(videos):
    restore(videos, pattern='a.mkv')
    with open(videos.parent / 'restored' / LOG, 'a') as file:
        file.write('{"made_by": "s2s')
    assert restore(videos)[0].message == 'restored by an earlier call'
    assert restore(videos)[1].message == 'restored by an earlier call'


class TestIsBatch:
    def test_videos(self, videos):
        assert is_batch(str(videos), None)
        assert is_batch(str(videos.parent / 'videos' / 'more'), None)

    def test_frames_stay_a_clip(self, tmp_path):
        folder = write_frames(tmp_path / 'frames', moving_clip(2, 8, 8))
        assert not is_batch(str(folder), None)
        (folder / 'sub').mkdir()
        write_movie(folder / 'sub' / 'a.mkv', moving_clip(2, 32, 32))
        assert not is_batch(str(folder), None)

    def test_both_are_refused(self, videos):
        write_frames(videos, moving_clip(2, 8, 8))
        with pytest.raises(DataError, match=r"--pattern '\*\.mkv' .*'.*/\*\.png' for the frames"):
            is_batch(str(videos), None)
        assert is_batch(str(videos), '*.mkv')

    def test_a_file(self, videos):
        assert not is_batch(str(videos / 'a.mp4'), None)
        with pytest.raises(DataError, match='is not a folder'):
            is_batch(str(videos / 'a.mp4'), '*.mp4')


def test_estimated_frames(videos):
    assert estimated_frames(str(videos / 'a.mp4')) == 9
    assert estimated_frames(str(videos / 'notes.txt')) == 0


def _work(videos, rank):
    gc.freeze()  # see _tool_process
    summary = restore(videos, worker=Worker(rank, 2))
    (videos.parent / f'{rank}.txt').write_text(' '.join(o.status for o in summary))


def test_two_processes_share_the_videos(videos, tmp_path):
    (videos / 'bad.mp4').write_bytes(b'no video')
    context = multiprocessing.get_context('forkserver')
    processes = [context.Process(target=_work, args=(videos, rank)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    for rank in range(2):
        assert (tmp_path / f'{rank}.txt').read_text().split() == ['done'] * 2 + ['failed'] + [
            'done'
        ] * 2
    done = [line['source'] for line in log_of(videos) if line['status'] == 'done']
    assert sorted(done) == sorted(OUTPUTS)
    for source, output in OUTPUTS.items():
        alone = tmp_path / f'alone_{output.replace("/", "_")}'
        run(videos / source, alone, segment=4)
        assert content(tmp_path / 'restored' / output) == content(alone)
    assert not list((tmp_path / 'restored').rglob('*.lock'))
