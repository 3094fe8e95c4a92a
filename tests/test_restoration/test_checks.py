# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Nothing but the named output is written, and of that only what is ours is replaced."""

import os
import tempfile
from pathlib import Path

import pytest
from helpers.clips import moving_clip, write_frames
from helpers.restoring import Stop, files_below, run
from helpers.videos import write_movie

from s2svr_mm.errors import ConfigError, DataError, OutputError
from s2svr_mm.io import muxing
from s2svr_mm.restoration.checks import check_output


@pytest.fixture
def frames(tmp_path):
    """Ten frames in a folder of their own."""
    return write_frames(tmp_path / 'in', moving_clip(10, 24, 32))


class TestFolders:
    def test_an_existing_folder_is_written_into(self, tmp_path, frames):
        out = tmp_path / 'out'
        (out / 'holiday').mkdir(parents=True)
        (out / 'holiday' / 'keep.txt').write_text('keep')
        (out / '00000099.png').write_text('not ours')
        before = files_below(out)
        run(frames, out, frames=(0, 5))
        first = files_below(out)
        assert before.items() <= first.items()
        assert len(first) == 2 + 5
        run(frames, out, frames=(5, 10))
        assert files_below(out).items() >= first.items()
        assert len(list(out.glob('0000000?.png'))) == 10
        assert not list(tmp_path.glob('*.parts'))

    @pytest.mark.parametrize('overwrite', [False, True])
    @pytest.mark.parametrize('name', ['box', 'link'])
    def test_the_folder_of_the_input_keeps_all(self, tmp_path, overwrite, name):
        box = tmp_path / 'box'
        box.mkdir()
        movie = write_movie(box / 'in.mp4', moving_clip(6, 24, 32))
        (box / 'keep.txt').write_text('keep')
        (tmp_path / 'link').symlink_to(box)
        before = files_below(box)
        run(movie, tmp_path / name, overwrite=overwrite)
        after = files_below(box)
        assert before.items() <= after.items()
        assert sorted(after.keys() - before.keys()) == [f'{i:08d}.png' for i in range(6)]

    @pytest.mark.parametrize('overwrite', [False, True])
    def test_frames_that_are_not_ours_stop_the_call(self, tmp_path, frames, overwrite):
        out = tmp_path / 'out'
        out.mkdir()
        (out / '00000007.png').write_text('precious')
        message = 'which this program did not make' if overwrite else 'exists already'
        with pytest.raises(OutputError, match=message):
            run(frames, out, overwrite=overwrite)
        assert files_below(out) == {'00000007.png': b'precious'}
        assert not (out / '.s2svr_mm').exists()
        run(frames, out, frames=(0, 7), overwrite=overwrite)
        assert (out / '00000007.png').read_bytes() == b'precious'

    def test_our_own_frames_are_replaced_if_asked(self, tmp_path, frames):
        out = tmp_path / 'out'
        run(frames, out)
        first = files_below(out)
        with pytest.raises(OutputError, match=r'exists already.*--overwrite'):
            run(frames, out)
        write_frames(frames, moving_clip(10, 24, 32, seed=1))
        run(frames, out, overwrite=True)
        second = files_below(out)
        assert first.keys() == second.keys()
        assert all(first[name] != second[name] for name in first)
        # One that was changed by hand is no longer ours.
        write_frames(out, moving_clip(1, 24, 32), start=3)
        edited = (out / '00000003.png').read_bytes()
        with pytest.raises(OutputError, match=r'00000003\.png, which this program did not make'):
            run(frames, out, overwrite=True)
        assert (out / '00000003.png').read_bytes() == edited

    def test_input_frames_are_never_replaced(self, tmp_path, frames):
        """Not even where they are what an earlier call made."""
        out = tmp_path / 'out'
        run(frames, out)
        before = files_below(tmp_path)
        (tmp_path / 'link').symlink_to(out)
        (tmp_path / 'links').mkdir()
        for path in out.glob('*.png'):
            os.link(path, tmp_path / 'links' / path.name)
        for target in (out, tmp_path / 'link', tmp_path / 'links'):
            for source in (out, out / '*.png'):
                with pytest.raises(OutputError, match='is the input'):
                    run(source, target, overwrite=True)
        assert before.items() <= files_below(tmp_path).items()

    def test_names_tell_folders_from_videos(self, tmp_path, frames):
        (tmp_path / 'my.frames').mkdir()
        for name in ('my.frames', 'other.v2/'):
            run(frames, f'{tmp_path}/{name}')
            assert len(list((tmp_path / name).glob('*.png'))) == 10
        (tmp_path / 'file').touch()
        with pytest.raises(OutputError, match='a file already'):
            run(frames, tmp_path / 'file', overwrite=True)

    @pytest.mark.parametrize('name', ['.', './', '..', 'sub/..'])
    def test_dots_are_folders_too(self, tmp_path, monkeypatch, frames, name):
        here = tmp_path / 'here'
        (here / 'sub').mkdir(parents=True)
        monkeypatch.chdir(here)
        expected = (here / name).resolve()
        summary = run(frames, name)
        assert summary.outputs == [str(expected)]
        assert len(list(expected.glob('0*.png'))) == 10
        assert not list(tmp_path.rglob('*.parts'))

    def test_the_root_is_refused(self, frames):
        with pytest.raises(OutputError, match='/ is not a folder for frames'):
            run(frames, '/')


class TestParts:
    @pytest.mark.parametrize('options', [{}, dict(codec='nonsense'), dict(overwrite=True)])
    @pytest.mark.parametrize('name', ['out.mp4', 'out'])
    def test_a_foreign_folder_of_that_name_is_left_alone(self, tmp_path, frames, name, options):
        parts = tmp_path / f'{name}.parts'
        (parts / 'output').mkdir(parents=True)
        (parts / 'output' / '000000.packets').write_text('precious')
        (parts / 'end.json').write_text('precious')
        for manifest in (None, '{"name": "webapp"}', 'no json', '[]'):
            if manifest is not None:
                (parts / 'manifest.json').write_text(manifest)
            before = files_below(tmp_path)
            with pytest.raises(OutputError, match=r'parts is needed.*It was not touched'):
                run(frames, tmp_path / name, **options)
            assert files_below(tmp_path) == before

    @pytest.mark.parametrize('kind', ['file', 'link', 'dangling'])
    def test_a_file_or_link_of_that_name(self, tmp_path, frames, kind):
        parts = tmp_path / 'out.mp4.parts'
        if kind == 'file':
            parts.write_text('precious')
        else:
            (tmp_path / 'elsewhere').mkdir()
            (tmp_path / 'elsewhere' / 'file').write_text('precious')
            parts.symlink_to(tmp_path / ('elsewhere' if kind == 'link' else 'nowhere'))
        before = files_below(tmp_path)
        with pytest.raises(OutputError, match='It was not touched'):
            run(frames, tmp_path / 'out.mp4')
        assert files_below(tmp_path) == before
        assert os.path.lexists(parts)

    def test_what_somebody_puts_into_ours_stays(self, tmp_path, frames):
        parts = tmp_path / 'out.mp4.parts'
        with pytest.raises(KeyboardInterrupt):
            run(frames, tmp_path / 'out.mp4', Stop(2), segment=2)
        (tmp_path / 'pictures').mkdir()
        (tmp_path / 'pictures' / 'a.png').write_text('precious')
        (parts / 'x').mkdir()
        (parts / 'x' / 'frames').symlink_to(tmp_path / 'pictures')
        (parts / 'notes.txt').write_text('precious')
        run(frames, tmp_path / 'out.mp4', segment=2)
        assert (tmp_path / 'pictures' / 'a.png').read_text() == 'precious'
        assert sorted(path.name for path in parts.iterdir()) == ['notes.txt', 'x']
        with pytest.raises(OutputError, match='It was not touched'):
            run(frames, tmp_path / 'out.mp4', overwrite=True)

    def test_an_empty_folder_is_no_obstacle(self, tmp_path, frames):
        """As a process that was killed at once leaves it."""
        (tmp_path / 'out.mp4.parts').mkdir()
        assert run(frames, tmp_path / 'out.mp4').frames == 10


def test_impossible_options(tmp_path, frames):
    for options, message in (
        (dict(segment=0), 'segment must be at least 1 frame, but got 0'),
        (dict(segment=-5), 'segment must be at least 1'),
        (dict(compare='c.mp4', compare_mode='beside'), "got 'beside'"),
        (dict(size_change='ignore'), "stop, split, scale, got 'ignore'"),
    ):
        with pytest.raises(ConfigError, match=message):
            run(frames, tmp_path / 'out.mp4', **options)
    for wanted, message in (((3, 3), 'holds no frames'), ((10, None), 'has 10 frames')):
        with pytest.raises(DataError, match=message):
            run(frames, tmp_path / 'out.mp4', frames=wanted)
    assert not list(tmp_path.glob('out*'))


def test_outputs_that_must_not_be(movie, tmp_path):
    out = tmp_path / 'out.mkv'
    out.write_text('precious')
    with pytest.raises(OutputError, match=r'exists already.*--overwrite'):
        run(movie, out)
    assert out.read_text() == 'precious'
    with pytest.raises(OutputError, match='is the input'):
        run(movie, movie, overwrite=True)
    os.link(movie, tmp_path / 'link.mkv')
    with pytest.raises(OutputError, match='is the input'):
        run(movie, tmp_path / 'link.mkv', overwrite=True)
    with pytest.raises(OutputError, match='no folder'):
        run(movie, tmp_path / 'nowhere' / 'out.mkv')
    with pytest.raises(OutputError, match='folder; give its name'):
        run(movie, tmp_path / 'out.png')
    with pytest.raises(OutputError, match='both the output and the comparison'):
        run(movie, tmp_path / 'a.mkv', compare=str(tmp_path / 'a.mkv'))
    assert not list(tmp_path.glob('*.parts'))


def test_no_permission_to_write():
    """Asked as somebody else where the tests run as root, whom nothing is forbidden."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    try:
        child = os.fork()
        if not child:
            status = 1
            try:
                if os.getuid() == 0:
                    os.setuid(65534)
                check_output(folder / 'new.mkv', [], overwrite=False)
            except OutputError as error:
                status = 0 if f'no permission to write to {folder}' in str(error) else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        folder.rmdir()


def test_overwriting_keeps_the_old_output_until_the_new_is_whole(movie, tmp_path, monkeypatch):
    out = tmp_path / 'out.mkv'
    out.write_text('precious')

    def fail(*args):
        raise RuntimeError('stop')

    with monkeypatch.context() as patch:
        patch.setattr(muxing.Muxer, 'write', fail)
        with pytest.raises(RuntimeError, match='stop'):
            run(movie, out, overwrite=True)
    assert out.read_text() == 'precious'
    run(movie, out, overwrite=True)
    assert out.stat().st_size > 1000
