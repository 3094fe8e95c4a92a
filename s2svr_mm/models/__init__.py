# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Networks and models."""

from .basicvsr_same_size import BasicVSRSameSizeNet
from .basicvsr_x2 import BasicVSRX2Net
from .flow import PWCLite
from .s2svr import S2SVR
from .s2svr_net import S2SVRNet
from .s2svr_plus_net import S2SVRPlusNet

__all__ = ['S2SVR', 'BasicVSRSameSizeNet', 'BasicVSRX2Net', 'PWCLite', 'S2SVRNet', 'S2SVRPlusNet']
