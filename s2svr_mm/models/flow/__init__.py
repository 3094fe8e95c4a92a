# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Optical flow: the network, and any other network behind the same call."""

from .cost_volume import cost_volume
from .estimators import neighbour_flows, resize_flow
from .pwclite import PWCLite

__all__ = ['PWCLite', 'cost_volume', 'neighbour_flows', 'resize_flow']
