# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""From a file, a URL or ``s2svr://NAME`` to the weights of a module."""
