# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from s2svr_mm.utils.metrics import psnr
from s2svr_mm.utils.tables import markdown_table


def test_markdown_table():
    table = markdown_table(['method', 'dB'], [['a|b', '1.00'], ['c', '**2.00**']])
    assert table == '| method | dB |\n| --- | ---: |\n| a\\|b | 1.00 |\n| c | **2.00** |\n'


def test_psnr_by_another_library():
    a, b = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16)).astype(np.uint8)
    expected = peak_signal_noise_ratio(a, b)
    assert psnr(a, b) == pytest.approx(expected)
    assert psnr(torch.from_numpy(a) / 255, torch.from_numpy(b) / 255, 1) == pytest.approx(
        expected, abs=1e-4
    )
    assert psnr(a, a) == math.inf
