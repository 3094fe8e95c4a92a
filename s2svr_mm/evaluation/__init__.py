# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
from .end_point_error import EndPointError, flow_errors, mean_errors
from .restoration_gain import RestorationGain

__all__ = ['EndPointError', 'RestorationGain', 'flow_errors', 'mean_errors']
