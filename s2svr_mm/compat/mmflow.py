# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""mmflow beside an mmcv newer than it was released for."""

import importlib
from types import ModuleType

from ..errors import MissingPackageError


def import_mmflow() -> ModuleType:
    """Import mmflow beside an mmcv newer than it was released for.

    mmflow 1.0.0rc0 asserts mmcv < 2.1.0 while it is imported, though nothing in it needs that. So
    ``mmcv.__version__`` reads 2.0.1 during the import and is put back right after.

    Returns:
        The ``mmflow`` package.

    Raises:
        MissingPackageError: If mmflow is not installed.
    """
    import mmcv

    version = mmcv.__version__
    mmcv.__version__ = '2.0.1'
    try:
        return importlib.import_module('mmflow')
    except ModuleNotFoundError as error:
        if error.name != 'mmflow':
            raise
        raise MissingPackageError(
            "mmflow is not installed; its flow networks, and the losses on flow that are mmflow's, "
            'need it: pip install mmflow==1.0.0rc0'
        ) from None
    finally:
        mmcv.__version__ = version
