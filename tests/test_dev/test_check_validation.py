# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest


@pytest.mark.slow
def test_memory(run_tool):
    result = run_tool('dev/check_validation', '--lengths', 160, 320, '--size', 64, 64)
    assert result.status == 0, result.output
    rows = [line.split() for line in result.output.splitlines() if line.strip()[:1].isdigit()]
    assert [int(row[0]) for row in rows] == [160, 320]
    assert float(rows[1][2]) < 1.2
