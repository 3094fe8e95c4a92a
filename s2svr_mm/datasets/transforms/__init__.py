# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
from .loading import LoadClip

__all__ = ['LoadClip']
