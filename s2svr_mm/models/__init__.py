# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Networks and models."""

from .flow import PWCLite
from .s2svr_net import S2SVRNet

__all__ = ['PWCLite', 'S2SVRNet']
