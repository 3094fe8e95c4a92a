# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What ``import s2svr_mm`` does and offers."""

import os
import subprocess
import sys

import pytest
from helpers.tool_process import CHECKOUT

import s2svr_mm


def run(script, **env):
    env = {**os.environ, 'PYTHONPATH': str(CHECKOUT), **env}
    return subprocess.run(
        [sys.executable, '-c', script], env=env, capture_output=True, text=True, check=True
    ).stdout.split()


def test_names():
    from s2svr_mm.errors import S2SVRError
    from s2svr_mm.models import S2SVRNet
    from s2svr_mm.models.zoo import list_models, load_model
    from s2svr_mm.restoration.restore_video import restore_video
    from s2svr_mm.restoration.restorer import VideoRestorer
    from s2svr_mm.version import __version__

    expected = (S2SVRError, S2SVRNet, list_models, load_model, restore_video, VideoRestorer)
    for value in expected:
        assert getattr(s2svr_mm, value.__name__) is value
        assert value.__name__ in s2svr_mm.__all__
    assert s2svr_mm.__version__ == __version__
    assert set(s2svr_mm.__all__) <= set(dir(s2svr_mm))
    with pytest.raises(AttributeError, match="no attribute 'restore_vide'"):
        s2svr_mm.restore_vide  # noqa: B018


def test_the_switch_leaves_the_process_untouched_and_registering_imports_no_more():
    """With the switch nothing happens; registering leaves out what comes when it is used."""
    script = (
        'import sys, warnings\n'
        'before = set(sys.modules), list(warnings.filters)\n'
        'import s2svr_mm\n'
        'new = {n.partition(".")[0] for n in sys.modules.keys() - before[0]}\n'
        'print(*(n for n in ("torch", "mmengine", "mmcv", "mmagic", "numpy") if n in new), "-",\n'
        '      warnings.filters == before[1], s2svr_mm.S2SVRError.__name__)\n'
        's2svr_mm.register(); s2svr_mm.register()\n'
        'from mmagic.registry import MODELS, DATASETS, HOOKS, METRICS, TRANSFORMS, LOOPS\n'
        'print("S2SVR" in MODELS, "VideoClipDataset" in DATASETS, "SafeCheckpointHook" in HOOKS,\n'
        '      "PerClip" in METRICS, "LoadClip" in TRANSFORMS, "ResumableTrainLoop" in LOOPS)\n'
        'print(*(f"s2svr_mm.{n}" in sys.modules for n in ("cli", "comparison", "web")))\n'
    )
    expected = ['-', 'True', 'S2SVRError', *['True'] * 6, *['False'] * 3]
    assert run(script, S2SVR_MM_REGISTER='0') == expected


def test_the_launcher_leaves_the_switch_as_it_was():
    script = (
        'import os\n'
        'from s2svr_launcher import SWITCH, unregistered\n'
        'with unregistered():\n'
        '    print(os.environ[SWITCH])\n'
        'print(os.environ.get(SWITCH))\n'
    )
    assert run(script) == ['0', 'None']
    assert run(script, S2SVR_MM_REGISTER='1') == ['0', '1']
