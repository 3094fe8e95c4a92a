# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""S2SVR for mmagic: importing this package registers everything in it.

The names in ``__all__`` are imported when they are first used. With ``S2SVR_MM_REGISTER=0`` in the
environment, importing the package leaves the process as it is until :func:`register` is called.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

from .registration import register
from .version import __version__

if TYPE_CHECKING:
    from .errors import S2SVRError
    from .models.s2svr_net import S2SVRNet
    from .models.zoo import list_models, load_model
    from .restoration.restore_video import restore_video
    from .restoration.restorer import VideoRestorer

__all__ = [
    'S2SVRError',
    'S2SVRNet',
    'VideoRestorer',
    '__version__',
    'list_models',
    'load_model',
    'register',
    'restore_video',
]

_HOMES = {
    'S2SVRError': 'errors',
    'S2SVRNet': 'models.s2svr_net',
    'VideoRestorer': 'restoration.restorer',
    'list_models': 'models.zoo',
    'load_model': 'models.zoo',
    'restore_video': 'restoration.restore_video',
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'{__name__}.{_HOMES[name]}'), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if os.environ.get('S2SVR_MM_REGISTER') != '0':
    register()
