# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What the stack under s2svr_mm needs; imports no more than the standard library and packaging."""

from .mmcv_ops import stand_in
from .mmflow import import_mmflow
from .stack import check_stack

__all__ = ['check_stack', 'import_mmflow', 'stand_in']
