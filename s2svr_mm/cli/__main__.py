# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""``python -m s2svr_mm.cli``: as ``s2svr``, but slower to start: it imports the package first."""

import sys

from . import main

if __name__ == '__main__':
    sys.exit(main())
