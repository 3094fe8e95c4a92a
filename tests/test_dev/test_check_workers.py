# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import re

import pytest


@pytest.mark.slow
def test_killed_processes_cost_nothing(run_tool):
    result = run_tool('dev/check_workers', 'kill', '--moments', '4', '--frames', '64')
    assert result.status == 0, result.output
    assert re.search(r'\d+ processes killed in \d+ runs .* same bytes', result.output)


@pytest.mark.slow
def test_speed(run_tool):
    result = run_tool('dev/check_workers', 'speed', '--frames', '64')
    assert result.status == 0, result.output
    assert 'times as fast' in result.output
    assert 'same bytes' in result.output
