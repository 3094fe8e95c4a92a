# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Shared fixtures: tiny clips with real motion, and the tools run as processes of their own."""

import os

# Before torch starts its thread pools, and for every subprocess that a test starts.
os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('NO_ALBUMENTATIONS_UPDATE', '1')

import gc
import multiprocessing
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import pytest
import torch
from helpers.clips import degrade, moving_clip, write_frames
from helpers.configs import TINY
from helpers.tool_process import CHECKOUT, ToolProcess, ToolResult

import s2svr_mm  # noqa: F401  # first: without compiled operators mmagic imports only after it

torch.set_num_threads(1)
cv2.setNumThreads(1)
# Processes of tests are forked from one that has imported all of it, which takes many seconds.
multiprocessing.set_forkserver_preload(
    [
        's2svr_mm.training.runner',
        's2svr_mm.restoration.restore_video',
        's2svr_mm.comparison.report',
        # What mmengine imports when a runner is built.
        'mmagic.visualization',
        'matplotlib.backends.backend_agg',
        'matplotlib.figure',
    ]
)


def pytest_collection_finish() -> None:
    """Take what was imported and collected out of the garbage collector's sight.

    mmengine collects garbage for each data set, and would look through all of it each time.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def clip_pairs(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes clips as two folders of frames, ``lq/<clip>`` and ``gt/<clip>``.

    Called as ``clip_pairs(names=('000', '001'), num_frames=5, height=64, width=64, scale=4,
    root=None)``; ``height`` and ``width`` are those of the ground truth. It returns the folder
    that holds ``lq`` and ``gt``. Each clip has a texture and a movement of its own.
    """

    def write(
        names: Sequence[str] = ('000', '001'),
        num_frames: int = 5,
        height: int = 64,
        width: int = 64,
        scale: int = 4,
        root: Path | None = None,
    ) -> Path:
        root = tmp_path / 'clips' if root is None else root
        for seed, name in enumerate(names):
            shift = (1.5 - seed, 0.5 * seed - 0.75)
            gt = moving_clip(num_frames, height, width, shift, degrees=0.5, seed=seed)
            write_frames(root / 'gt' / name, gt)
            write_frames(root / 'lq' / name, degrade(gt, scale))
        return root

    return write


@pytest.fixture
def start_tool(tmp_path: Path) -> Callable[..., ToolProcess]:
    """A function that starts ``tools/<tool>.py`` in ``tmp_path`` and returns at once.

    Called as ``start_tool('train', config, '--amp', env={'RANK': '0'})``.
    """

    def start(tool: str, *args: object, env: dict[str, str] | None = None) -> ToolProcess:
        return ToolProcess(tool, [str(arg) for arg in args], env or {}, tmp_path)

    return start


@pytest.fixture
def run_tool(start_tool: Callable[..., ToolProcess]) -> Callable[..., ToolResult]:
    """As ``start_tool``, but waits for the end: status and output."""
    return lambda *args, **kwargs: start_tool(*args, **kwargs).wait()


@pytest.fixture
def tiny_config(tmp_path: Path, clip_pairs: Callable[..., Path]) -> Path:
    """A config that trains and tests within seconds, beside the clips that it reads."""
    clips = clip_pairs(names=('street', 'park'), num_frames=4, height=72, width=80)
    runtime = CHECKOUT / 'configs' / '_base_' / 'default_runtime.py'
    path = tmp_path / 'tiny.py'
    path.write_text(TINY.format(runtime=str(runtime), clips=str(clips)))
    return path
