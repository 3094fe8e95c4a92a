# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
def test_no_more_than_a_group_of_pictures_is_decoded(run_tool):
    """Times are the script's to judge: here they depend on what else runs."""
    result = run_tool(
        *('dev/check_seeking', '--length', '400', '--size', '64', '64', '--gop', '32'),
        *('--repeat', '1'),
    )
    rows = [line.split('|')[1:-1] for line in result.output.splitlines() if '| 32 |' in line]
    assert len(rows) == 12, result.output
    reads = [(row[2].strip(), int(row[3]), int(row[4])) for row in rows]
    assert {first for _, first, _ in reads} >= {20, 360}
    assert all(decoded <= 32 for *_, decoded in reads)
    assert all(first > 360 for name, first, _ in reads if name == 'resumed')
