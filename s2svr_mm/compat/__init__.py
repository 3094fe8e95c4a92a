# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What the stack under s2svr_mm needs, and nothing else.

Nothing beyond the standard library is imported here: ``python -m s2svr_mm.compat`` reports on the
stack where it is broken, too.
"""

from .checkpoint import (
    CheckpointError,
    load_checkpoint_file,
    register_checkpoint_loader,
    register_safe_globals,
)
from .mmflow import MissingPackageError, import_mmflow
from .stack import StackError, check_stack

__all__ = [
    'CheckpointError',
    'MissingPackageError',
    'StackError',
    'check_stack',
    'import_mmflow',
    'load_checkpoint_file',
    'register_checkpoint_loader',
    'register_safe_globals',
]
