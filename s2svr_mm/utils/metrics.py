# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Peak signal-to-noise ratio of arrays or tensors of any shape."""

import math

import numpy as np
import torch
from torch import Tensor


def psnr(a: np.ndarray | Tensor, b: np.ndarray | Tensor, peak: float = 255.0) -> float:
    """Compute the peak signal-to-noise ratio over all values of two arrays.

    Args:
        a (np.ndarray | Tensor): Values of any shape, in [0, peak].
        b (np.ndarray | Tensor): Values of the same shape.
        peak (float): The greatest possible value. Defaults to 255.

    Returns:
        float: PSNR in dB; infinite where both are equal.
    """
    error = torch.as_tensor(a).double() - torch.as_tensor(b).double()
    mean = error.square().mean().item()
    return 10 * math.log10(peak**2 / mean) if mean > 0 else math.inf
