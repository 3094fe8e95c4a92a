# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The version of the package, importable without anything else."""

__version__ = '0.2.0.dev0'
