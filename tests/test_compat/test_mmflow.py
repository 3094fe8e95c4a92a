# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import sys

import mmcv
import pytest

from s2svr_mm.compat import import_mmflow
from s2svr_mm.errors import MissingPackageError


def test_import():
    version = mmcv.__version__
    mmflow = import_mmflow()
    assert mmcv.__version__ == version
    assert mmflow.__version__.startswith('1.0')
    from mmflow.models import FlowNetC  # noqa: F401


def test_not_installed(monkeypatch):
    version = mmcv.__version__
    monkeypatch.setitem(sys.modules, 'mmflow', None)
    with pytest.raises(MissingPackageError, match=r'pip install mmflow==1\.0'):
        import_mmflow()
    assert mmcv.__version__ == version
