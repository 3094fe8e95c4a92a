# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""S2SVR for mmagic: importing this package registers everything in it."""

from .compat import register_checkpoint_loader

register_checkpoint_loader()

from . import datasets, engine, evaluation, losses, models  # noqa: E402, F401

__version__ = '0.1.0'
