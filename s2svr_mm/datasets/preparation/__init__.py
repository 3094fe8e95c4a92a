# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Lay out data sets as the configs expect them; used by ``s2svr prepare-data``."""

from .own_clips import prepare_clips
from .published import prepare_published
from .recipes import RECIPES

__all__ = ['RECIPES', 'prepare_clips', 'prepare_published']
