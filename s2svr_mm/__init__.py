# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""S2SVR for mmagic: importing this package registers everything in it."""

import sys
import warnings

from .version import __version__

__all__ = ['__version__']

# Raised while mmagic imports them, about what only their authors can change.
warnings.filterwarnings('ignore', category=FutureWarning, module=r'(diffusers|transformers)\.')

# `python -m s2svr_mm.compat` reports on a stack that may be too broken for all of this.
if not (sys.argv[:1] == ['-m'] and any(a.endswith('s2svr_mm.compat') for a in sys.orig_argv)):
    from .compat import check_stack

    check_stack()
    from .checkpoints.files import register_checkpoint_loader

    register_checkpoint_loader()

    from . import datasets, engine, evaluation, losses, models  # noqa: F401
