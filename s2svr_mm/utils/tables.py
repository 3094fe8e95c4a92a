# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def markdown_table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a table; the first column is aligned to the left, the others to the right.

    Args:
        heading (Sequence[str]): Name of each column.
        rows (Iterable[Sequence[str]]): Cells, as many a row as the heading has.

    Returns:
        str: The table with a line break at its end. Bars in cells are escaped.
    """
    lines = [heading, ['---', *['---:'] * (len(heading) - 1)], *rows]
    cells = ([cell.replace('|', '\\|') for cell in line] for line in lines)
    return ''.join(f'| {" | ".join(line)} |\n' for line in cells)
