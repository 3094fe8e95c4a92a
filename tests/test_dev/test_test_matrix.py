# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import runpy
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def test_a_row_replaces_its_own_and_leaves_the_others():
    script = runpy.run_path(str(CHECKOUT / 'dev' / 'test_matrix.py'))
    versions = ['1.0'] * len(script['SHOWN'])
    page = f'above\n{script["START"]}\n{script["END"]}\nbelow\n'
    for row in (
        ['2026-01-01', 'newest', '3.12.1', *versions, '1 failed'],
        ['2026-01-02', 'lowest', '3.12.1', *versions, '5 passed'],
        ['2026-01-03', 'newest', '3.11.7', *versions, '6 passed'],
        ['2026-01-04', 'newest', '3.12.2', *versions, '7 passed'],
    ):
        page = script['with_row'](page, row)
    above, _, header, rule, *rows, _, below, _ = page.split('\n')
    assert (above, below) == ('above', 'below')
    cells = [[cell.strip() for cell in row.strip('|').split('|')] for row in rows]
    assert [cell[0] for cell in cells] == ['2026-01-03', '2026-01-02', '2026-01-04']
    assert cells[2][1:3] == ['newest', '3.12.2']
    assert len(header.split('|')) == len(rule.split('|')) == len(rows[0].split('|'))
