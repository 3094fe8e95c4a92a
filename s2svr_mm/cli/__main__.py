# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""``python -m s2svr_mm.cli``: the command ``s2svr``, slower to start (the package comes first)."""

import sys

from . import main

if __name__ == '__main__':
    sys.exit(main())
