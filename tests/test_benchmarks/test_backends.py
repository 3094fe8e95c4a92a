# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import subprocess
import sys

import pytest
from helpers.tool_process import CHECKOUT


@pytest.mark.slow
def test_each_back_end_is_in_the_table():
    script = str(CHECKOUT / 'benchmarks' / 'backends.py')
    command = [sys.executable, script, 's2svr_s_compress', *['--size', '12', '14', '--frames', '2']]
    done = subprocess.run([*command, '--rounds', '1'], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [line.split(' | ') for line in done.stdout.splitlines() if line.startswith('| s2svr')]
    ways = [row[1] for row in rows]
    assert ways[0] == 'torch float32'
    assert {'onnxruntime int8', 'openvino float32'} <= set(ways)
    assert rows[0][3] == '1.00 x'
    assert all(float(row[2]) > 0 for row in rows)
