# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Video and raw YUV files for the data tests."""

import pytest
from mmengine.registry import init_default_scope

import s2svr_mm.datasets  # noqa: F401


@pytest.fixture(autouse=True)
def _mmagic_scope() -> None:
    """Build transforms by their bare names, as a runner does."""
    init_default_scope('mmagic')
