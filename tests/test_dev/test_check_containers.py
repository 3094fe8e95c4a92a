# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import shutil

import pytest

pytestmark = pytest.mark.skipif(shutil.which('ffprobe') is None, reason='needs ffmpeg')


def test_a_few_containers(run_tool):
    result = run_tool(
        *('dev/check_containers', '--video', 'h264', 'vp9', '--sound', 'aac', 'pcm_s16le'),
        *('--outputs', 'mp4', 'webm', '--inputs', 'ts'),
    )
    assert result.status == 0, result.output
    assert 'to each container: 8 cases' in result.output
    for row in (
        '| video | .mp4 | .webm |',
        '| h264 | + | - |',
        '| vp9 | + | + |',
        '| aac | + | c |',
        '| pcm_s16le | c | c |',
        '0 faults',
    ):
        assert row in result.output
