# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import errno
import multiprocessing
import os

import pytest

from s2svr_mm.errors import ConfigError, OutputError
from s2svr_mm.utils import files
from s2svr_mm.utils.files import disk_errors, output_folder, unfinished, write_bytes, write_text
from s2svr_mm.utils.locks import folder_lock


def test_a_file_is_whole_or_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / 'deep' / 'file'
    write_text(path, 'Käse')
    assert path.read_bytes() == 'Käse'.encode()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, 'fsync', full)
    with pytest.raises(OutputError, match=r'file: .* could not be written \(No space left'):
        write_bytes(path, b'new')
    with (
        pytest.raises(OutputError, match=r'No space left for .*\. Kept: free some space'),
        disk_errors(tmp_path, 'Kept'),
    ):
        write_bytes(path, b'new')
    assert path.read_bytes() == 'Käse'.encode()
    assert os.listdir(path.parent) == ['file']


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OutputError, match=r'file/new: .* could not be written'):
        write_bytes(tmp_path / 'file' / 'new', b'new')


def test_half_written_folders_vanish_and_others_stay(tmp_path):
    for name in ('whole', 'failed'):
        try:
            with unfinished(tmp_path / 'in' / name, tmp_path) as work:
                work.mkdir()
                (work / 'a').touch()
                if name == 'failed':
                    raise KeyError
        except KeyError:
            pass
    assert os.listdir(tmp_path / 'in') == ['whole']
    # As a killed process leaves it.
    (tmp_path / files.WORK_FOLDER / '1-clip').mkdir()
    with output_folder(tmp_path):
        assert sorted(os.listdir(tmp_path)) == ['.s2svr_mm', 'in']
    assert os.listdir(tmp_path) == ['in']
    (tmp_path / files.WORK_FOLDER).mkdir(parents=True)
    (tmp_path / files.WORK_FOLDER / 'precious').touch()
    with output_folder(tmp_path):
        pass
    assert os.listdir(tmp_path / files.WORK_FOLDER) == ['precious']


def test_what_can_not_be_made_is_said_at_once(tmp_path):
    (tmp_path / 'file').touch()
    with (
        pytest.raises(ConfigError, match=r'--dst .*file cannot be made'),
        output_folder(tmp_path / 'file', '--dst'),
    ):
        pass


def _hold(folder, held, release):
    with folder_lock(folder):
        held.set()
        release.wait(60)


def test_one_process_at_a_time(tmp_path):
    context = multiprocessing.get_context('fork')
    held, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path, held, release))
    process.start()
    assert held.wait(60)
    with (
        pytest.raises(OutputError, match=r'another process is writing to .*\.mp4 at this'),
        folder_lock(tmp_path, tmp_path / 'out.mp4'),
    ):
        pass
    # A process that is killed holds nothing.
    process.kill()
    process.join()
    with folder_lock(tmp_path):
        pass
    assert os.listdir(tmp_path) == []
