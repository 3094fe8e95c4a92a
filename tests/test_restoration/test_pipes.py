# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import io
import subprocess
import sys

import av
import numpy as np
import pytest
from helpers.clips import moving_clip, write_frames
from helpers.networks import Neighbours
from helpers.restoring import restorer_of
from helpers.tool_process import CHECKOUT

from s2svr_mm.errors import DataError
from s2svr_mm.io.clips import open_reader
from s2svr_mm.io.reader import VideoInfo
from s2svr_mm.io.y4m import Y4MReader, Y4MWriter
from s2svr_mm.restoration.pipes import restore_stream
from s2svr_mm.restoration.scene_cuts import REACH


def stream_of(clip):
    file = io.BytesIO()
    info = VideoInfo(*clip.shape[1:3])
    writer = Y4MWriter(file, info, 'yuv444p')
    for rgb in clip:
        writer.write(rgb)
    return file.getvalue()


def restored(data, network=None, **kwargs):
    target = io.BytesIO()
    restorer = restorer_of(network)
    source = Y4MReader(io.BytesIO(data))
    summary = restore_stream(source, target, restorer, progress=False, **kwargs)
    return target.getvalue(), summary


def test_frames_are_those_of_the_restorer():
    clips = [moving_clip(13, 24, 32), moving_clip(9, 24, 32, seed=1)]
    data = stream_of(np.concatenate(clips))
    network = Neighbours(reach=1)
    found, summary = restored(data, network)
    frames = [frame.rgb for frame in Y4MReader(io.BytesIO(data))]
    expected = np.stack(list(restorer_of(network).restore(frames)))
    file = io.BytesIO()
    writer = Y4MWriter(file, VideoInfo(48, 64), 'yuv444p')
    for rgb in expected:
        writer.write(rgb)
    assert found.partition(b'\n')[2] == file.getvalue().partition(b'\n')[2]
    assert (summary.frames, summary.cuts) == (22, [(13, 13 / 25)])
    assert '22 frames 32x24 -> 64x48 in standard output (yuv4mpeg, yuv444p)' in str(summary)


def test_part_of_a_stream_and_of_a_file(tmp_path):
    clip = moving_clip(20, 24, 32)
    part, summary = restored(stream_of(clip), frames=(4, 15))
    assert summary.frames == 11
    folder = write_frames(tmp_path / 'in', clip)
    target = io.BytesIO()
    restore_stream(
        open_reader(str(folder)), target, restorer_of(), (4, 15), 'yuv444p', progress=False
    )
    pairs = zip(*(Y4MReader(io.BytesIO(d)) for d in (target.getvalue(), part)), strict=True)
    differences = [np.abs(a.rgb.astype(int) - b.rgb).max() for a, b in pairs]
    assert len(differences) == 11
    assert max(differences) <= 2  # RGB was rounded to YUV once more


def test_memory_is_bounded():
    data, read = stream_of(moving_clip(60, 24, 32)), []

    class Counting(io.BytesIO):
        def read(self, size=-1):
            read.append(size)
            return super().read(size)

    ahead = []

    class Target(io.BytesIO):
        def flush(self):
            ahead.append(len(read) - len(ahead))

    restore_stream(Y4MReader(Counting(data)), Target(), restorer_of(), progress=False)
    assert len(ahead) == 60
    # A window of 6 and what tells its end, the detector, two queues.
    assert max(ahead) <= 7 + REACH + 5 + 8 + 4


def test_a_stream_that_is_cut_off_is_an_error():
    data = stream_of(moving_clip(30, 24, 32))
    with pytest.raises(DataError, match='cut off in frame 29'):
        restored(data[:-1])
    with pytest.raises(DataError, match='has no frame 40'):
        restored(data, frames=(40, None))


def test_whoever_reads_is_gone():
    class Gone(io.BytesIO):
        def flush(self):
            raise BrokenPipeError

    source = Y4MReader(io.BytesIO(stream_of(moving_clip(30, 24, 32))))
    with pytest.raises(BrokenPipeError):
        restore_stream(source, Gone(), restorer_of(), progress=False)


def command(*args):
    return [sys.executable, '-m', 's2svr_launcher', 'restore', '--device', 'cpu', *map(str, args)]


def test_command_writes_nothing_but_frames_to_stdout():
    args = ['--dtype', 'float32', '--window', 6, '--overlap', 2, '-', '-']
    data = stream_of(moving_clip(7, 24, 32))
    done = subprocess.run(command(*args), input=data, capture_output=True, cwd=CHECKOUT)
    assert done.returncode == 0, done.stderr
    with av.open(io.BytesIO(done.stdout), format='yuv4mpegpipe') as container:
        frames = [frame.to_ndarray() for frame in container.decode(video=0)]
    assert np.stack(frames).shape == (7, 3, 48, 64)
    assert len(done.stdout) == done.stdout.index(b'\n') + 1 + 7 * (6 + 3 * 48 * 64)
    assert b'7 frames 32x24 -> 64x48' in done.stderr


@pytest.mark.slow
def test_command_ends_cleanly_with_its_reader():
    args = ['--dtype', 'float32', '--window', 2, '--overlap', 0, '-', '-']
    process = subprocess.Popen(
        command(*args),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=CHECKOUT,
    )
    process.stdin.write(stream_of(moving_clip(40, 24, 32)))
    process.stdin.close()
    assert process.stdout.read(20).startswith(b'YUV4MPEG2')
    process.stdout.close()
    said = process.stderr.read()
    assert process.wait() == 141, said
    assert b'Traceback' not in said


def test_refusals(capfd):
    from s2svr_mm.cli import main

    for args, message in (
        (['-', 'out.mp4'], 's2svr restore - - | ffmpeg -i - out.mp4'),
        (['-'], 'give the output as well: s2svr restore - -'),
        (['-', '-', '--crf', '20'], '--crf has no effect on a pipe'),
        (['-', '-', '--fps', '20'], '--fps has no effect on a pipe'),
        (['-', '-', '--overwrite'], '--overwrite has no effect on a pipe'),
        (['-', '-', '--launcher', 'mpi'], '--launcher has no effect on a pipe'),
        (['-', '-', '--without', 'audio'], '--without has no effect on a pipe'),
        (['in.mp4', '-', '--segment', '9'], '--segment has no effect on a pipe'),
    ):
        with pytest.raises(SystemExit) as error:
            main(['restore', *args])
        assert error.value.code == 1
        assert message in capfd.readouterr().err
