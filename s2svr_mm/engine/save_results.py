# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Hooks that write the results of a test: restored frames and metrics."""

import json
import os
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from mmagic.registry import HOOKS
from mmagic.structures import DataSample
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..errors import OutputError
from ..io.images import encode_png
from ..io.paths import IMAGE_SUFFIXES
from ..utils.manifest import write_made


def _frame_stems(sample: DataSample, count: int, first: int) -> list[str]:
    """Names for ``count`` restored frames: the source's where it has as many image files."""
    for key in ('img_path', 'gt_path'):
        paths = sample.get(key) or []
        paths = [paths] if isinstance(paths, str) else paths
        stems = [PurePath(path).stem for path in paths]
        images = all(PurePath(path).suffix.lower() in IMAGE_SUFFIXES for path in paths)
        if len(paths) == count and images and len(set(stems)) == count:
            return stems
    return [f'{index:08d}' for index in range(first, first + count)]


def _clip_key(runner: Runner, sample: DataSample, default: str) -> str:
    """Return a sample's clip, from the data set if the pipeline did not keep it."""
    if 'key' in sample:
        return sample.key
    dataset = runner.test_loop.dataloader.dataset
    if 'sample_idx' in sample and hasattr(dataset, 'get_data_info'):
        return dataset.get_data_info(sample.sample_idx).get('key', default)
    return default


@HOOKS.register_module()
class SaveFramesHook(Hook):
    """Save what a model restores in testing as ``out_dir/<clip>/<frame>.png``.

    Frames keep the names of the frames they were restored from; those of videos are numbered
    from 0.

    Args:
        out_dir: Folder to write to.
    """

    def __init__(self, out_dir: str | os.PathLike) -> None:
        self.out_dir = Path(out_dir)
        self._written: set[Path] = set()

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[DataSample] | None = None,
    ) -> None:
        """Write the frames of one batch.

        Args:
            runner: The runner.
            batch_idx: Number of the batch.
            data_batch: What the model was fed.
            outputs: Samples with ``output.pred_img``, (c, h, w) or (t, c, h, w), BGR in [0, 255].

        Raises:
            OSError: If a frame can't be written.
            OutputError: If the folder holds frames of these names that were not made here, or two
                clips would be written to it.
        """
        for sample in outputs or []:
            frames = sample.output.pred_img
            frames = frames[None] if frames.ndim == 3 else frames
            folder = self.out_dir / _clip_key(runner, sample, default=f'{batch_idx:08d}')
            first = sample.get('first_frame', 0)
            if folder in self._written and not first:
                raise OutputError(f'two clips of the test set would be saved to {folder}')
            self._written.add(folder)
            contents = {}
            for stem, frame in zip(_frame_stems(sample, len(frames), first), frames, strict=True):
                bgr = frame.permute(1, 2, 0).float().cpu().numpy()
                contents[f'{stem}.png'] = encode_png(bgr[..., ::-1])
            write_made(folder, contents, self.out_dir)


@HOOKS.register_module()
class SaveMetricsHook(Hook):
    """Write a test's metrics to a JSON file.

    The figures of each clip, where :class:`PerClip` kept them, stand under ``clips``.

    Args:
        out: The file.
    """

    def __init__(self, out: str | os.PathLike) -> None:
        self.out = Path(out)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Write the metrics.

        Args:
            runner: The runner.
            metrics: Values by name.

        Raises:
            OSError: If the file can't be written.
            OutputError: If the file exists and was not made here.
        """
        if is_main_process():
            values: dict[str, Any] = {n: float(value) for n, value in (metrics or {}).items()}
            for evaluator in runner.test_loop.evaluators:
                for metric in evaluator.metrics:
                    if clips := getattr(metric, 'clips', None):
                        values[f'{metric.prefix}/clips' if metric.prefix else 'clips'] = clips
            content = json.dumps(values, indent=2) + '\n'
            write_made(self.out.parent, {self.out.name: content.encode()})
