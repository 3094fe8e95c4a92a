# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""``python -m s2svr_mm.compat``: a table of the stack; exit code 1 if something is broken."""

import sys

from .stack import report

if __name__ == '__main__':
    sys.exit(report())
