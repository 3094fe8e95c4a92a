# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Figures of every clip, and whether a protocol's clips were all there."""

import logging
from collections.abc import Sequence
from itertools import chain
from typing import Any

from mmagic.evaluation.metrics.base_sample_wise_metric import BaseSampleWiseMetric
from mmagic.registry import METRICS
from mmengine.logging import print_log
from torch import nn
from torch.utils.data import DataLoader

from ..errors import ConfigError
from .merging import merge_windows


@METRICS.register_module()
class PerClip(BaseSampleWiseMetric):
    """Report other metrics, and the figures of each clip in the log.

    The values it reports are those of ``metrics``. Before that it logs a line for each clip, and a
    warning if what was measured is not as many clips or frames as the protocol has. The clips'
    figures stay in ``clips``, from where ``s2svr test --out`` writes them.

    Of the metrics it uses what mmengine's ``BaseMetric`` has: ``process`` for one clip at a time,
    the ``results`` that it leaves, and ``compute_metrics`` for those of a clip and of all clips.

    Args:
        metrics (Sequence[dict]): Configs of metrics that measure sample by sample (mmagic's PSNR
            and SSIM, :class:`RestorationGain`), a sample being a clip.
        num_clips (int, optional): Clips of the protocol. Defaults to None (any number).
        num_frames (int, optional): Frames that are measured, of all clips. Defaults to None.
        list_clips (bool): Whether to log and keep the clips' figures. Defaults to True.
        **kwargs: ``prefix`` and ``collect_device`` of mmengine's ``BaseMetric``.

    Raises:
        ConfigError: If there are no metrics.
    """

    metric = 'PerClip'

    def __init__(
        self,
        metrics: Sequence[dict],
        num_clips: int | None = None,
        num_frames: int | None = None,
        list_clips: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not metrics:
            raise ConfigError('PerClip needs at least one metric to report, but got none.')
        self.metrics = [METRICS.build(metric) for metric in metrics]
        self.num_clips = num_clips
        self.num_frames = num_frames
        self.list_clips = list_clips
        self.clips: dict[str, dict[str, float]] = {}

    def prepare(self, module: nn.Module, dataloader: DataLoader) -> None:
        """Prepare itself and its metrics.

        Args:
            module (nn.Module): The model.
            dataloader (DataLoader): What is measured.
        """
        super().prepare(module, dataloader)
        for metric in self.metrics:
            metric.prepare(module, dataloader)

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Measure a batch.

        Args:
            data_batch (Sequence[dict]): Not used.
            data_samples (Sequence[dict]): With ``key``, ``gt_img`` and ``output.pred_img``,
                (3, h, w) or (t, 3, h, w), in [0, 255].
        """
        for sample in data_samples:
            measured = []
            for metric in self.metrics:
                metric.process(data_batch, [sample])
                measured.append(metric.results)
                metric.results = []
            shape = sample[self.gt_key].shape
            frames = shape[0] if len(shape) > 3 else 1
            self.results.append(dict(key=sample['key'], frames=frames, measured=measured))

    def merge(self, results: Sequence[dict[str, Any]], frames: Sequence[int]) -> dict[str, Any]:
        """Join the results of a clip's windows; see :func:`.merge_windows`."""
        measured = [
            [merge_windows(metric, list(chain.from_iterable(windows)), frames)]
            for metric, windows in zip(
                self.metrics, zip(*(r['measured'] for r in results), strict=True), strict=True
            )
        ]
        return dict(key=results[0]['key'], frames=sum(frames), measured=measured)

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Log the figures of each clip and compute the averages.

        Args:
            results (list[dict[str, Any]]): ``key``, ``frames`` and ``measured`` of each clip.

        Returns:
            dict[str, float]: What all metrics report.
        """
        if self.list_clips:
            self.clips = {
                result['key']: dict(frames=result['frames'], **self._figures([result]))
                for result in results
            }
            print_log(self._table(), logger='current')
        clips, frames = len(results), sum(result['frames'] for result in results)
        if self.num_clips not in (None, clips) or self.num_frames not in (None, frames):
            wanted = (self.num_clips, 'any number of'), (self.num_frames, 'any number of')
            clips_wanted, frames_wanted = (words if n is None else n for n, words in wanted)
            print_log(
                f'{self._title()}{clips} clips with {frames} frames were measured, while the '
                f'protocol has {clips_wanted} clips with {frames_wanted} frames: these figures are '
                'not comparable with published ones.',
                logger='current',
                level=logging.WARNING,
            )
        return self._figures(results)

    def _figures(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Return what the metrics report for some of the clips."""
        figures: dict[str, float] = {}
        for i, metric in enumerate(self.metrics):
            of_metric = chain.from_iterable(result['measured'][i] for result in results)
            figures |= metric.compute_metrics(list(of_metric))
        return figures

    def _title(self) -> str:
        return f'{self.prefix}: ' if self.prefix else ''

    def _table(self) -> str:
        width = max(map(len, self.clips))
        lines = [f'{self._title()}figures of each clip']
        for key, figures in self.clips.items():
            text = '  '.join(f'{n} {value:.4f}' for n, value in figures.items() if n != 'frames')
            lines.append(f'{key:<{width}}  {figures["frames"]:4d} frames  {text}')
        return '\n'.join(lines)
