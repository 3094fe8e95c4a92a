# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""mmcv's operators where they are not compiled: mmcv-lite, or an mmcv built for another torch.

mmagic imports ``mmcv.ops``, and that imports ``mmcv._ext``, its compiled part. Where there is none,
a module takes its place whose operators raise when they are called, not when they are imported, and
``mmcv.ops`` computes deformable convolutions by torchvision.
"""

import importlib
import sys
from collections.abc import Callable
from functools import partial
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

from ..errors import MissingOpError

EXTENSION = 'mmcv._ext'
# pip hides torch from a build unless told not to, and then mmcv leaves its operators out.
REMEDY = (
    'To compile it, with a C++17 compiler (and nvcc for CUDA): pip uninstall -y mmcv-lite; '
    'pip install "setuptools<81" wheel ninja psutil; '
    'pip install --force-reinstall --no-deps --no-build-isolation mmcv==2.1.0'
)


def provide_ops() -> None:
    """Make ``mmcv.ops`` importable, by compiled operators if they load and without them if not."""
    try:
        importlib.import_module(EXTENSION)
        return
    except ModuleNotFoundError as error:
        if error.name != EXTENSION:
            raise
        reason = ''
    except ImportError as error:  # for one, a symbol that this torch does not have
        reason = str(error).strip().split('\n')[-1]
    sys.modules[EXTENSION] = StandIn(reason)
    import mmcv.ops

    from .deform_conv import deform_conv2d, modulated_deform_conv2d

    for module in (mmcv.ops, mmcv.ops.deform_conv):
        module.deform_conv2d = deform_conv2d
    for module in (mmcv.ops, mmcv.ops.modulated_deform_conv):
        module.modulated_deform_conv2d = modulated_deform_conv2d


def stand_in() -> 'StandIn | None':
    """Return what stands in for mmcv's compiled operators; None where those are in use."""
    module = sys.modules.get(EXTENSION)
    return module if isinstance(module, StandIn) else None


class StandIn(ModuleType):
    """A module with any operator of mmcv, each of which raises MissingOpError when called.

    Args:
        reason (str): Why compiled operators that are there do not load. Defaults to '' (there are
            none).
    """

    def __init__(self, reason: str = '') -> None:
        super().__init__(EXTENSION)
        # mmengine asks for the loader, to know whether there are deformable convolutions.
        self.__spec__ = ModuleSpec(EXTENSION, Loader())
        self.reason = reason

    def __getattr__(self, name: str) -> Callable:
        """Return the operator of that name."""
        if name.startswith('__'):
            raise AttributeError(f'module {EXTENSION} has no attribute {name}')
        if name in ('get_compiler_version', 'get_compiling_cuda_version'):
            return lambda: 'not compiled'
        return partial(_refuse, name)


def _refuse(name: str, *args: Any, **kwargs: Any) -> NoReturn:
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get('__name__', '').split('.')[0] in ('mmcv', 'torch'):
        frame = frame.f_back
    raise MissingOpError(
        f'{frame.f_globals.get("__name__")}, line {frame.f_lineno}, calls {name}, an operator of '
        f'mmcv that must be compiled, and here it is not. {REMEDY}'
    )
