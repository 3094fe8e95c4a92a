# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""``s2svr compare``, from a checkout and for mim."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from s2svr_launcher import main

if __name__ == '__main__':
    main('compare')
