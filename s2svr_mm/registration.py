# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Registering everything in the package with mmagic."""

import warnings


def register() -> None:
    """Register models, data sets, hooks and metrics with mmagic; a second call changes nothing.

    What else changes in the process: mmengine reads checkpoints by
    :func:`s2svr_mm.checkpoints.files.open_checkpoint`, which runs no code; where mmcv has no
    compiled operators, stand-ins take their place; FutureWarnings of diffusers and transformers,
    which only their authors can fix, are not shown.

    Raises:
        StackError: If the installed packages do not work together.
    """
    warnings.filterwarnings('ignore', category=FutureWarning, module=r'(diffusers|transformers)\.')
    from .compat import check_stack

    check_stack()
    from .checkpoints.files import register_checkpoint_loader

    register_checkpoint_loader()

    from . import datasets, engine, evaluation, losses, models  # noqa: F401
    from .training import windowed_loops  # noqa: F401
