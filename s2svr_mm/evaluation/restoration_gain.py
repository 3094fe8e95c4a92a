# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""How much better restored frames are than their input."""

from collections.abc import Callable, Sequence

import numpy as np
from mmagic.evaluation.metrics import psnr, ssim
from mmagic.evaluation.metrics.base_sample_wise_metric import BaseSampleWiseMetric
from mmagic.evaluation.metrics.metrics_utils import obtain_data
from mmagic.registry import METRICS

from ..errors import ConfigError


@METRICS.register_module()
class RestorationGain(BaseSampleWiseMetric):
    """Gain in PSNR (dB) and SSIM (x 100) over the input, Y alone, as MFQEv2 is reported.

    The luma comes from RGB by BT.601 as in mmagic's metrics. Frames are averaged over a clip, then
    clips over the data set. ``PSNR_gain`` and ``SSIM_gain`` are positive where restoration helped.

    Args:
        **kwargs: Arguments of mmagic's ``BaseSampleWiseMetric``.
    """

    metric = 'PSNR_gain'

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Measure a batch.

        Args:
            data_batch (Sequence[dict]): Not used.
            data_samples (Sequence[dict]): With ``gt_img``, ``input`` and ``output.pred_img``,
                (3, h, w) or (t, 3, h, w), in [0, 255].

        Raises:
            ConfigError: If their shapes differ: only restoration at scale 1 has a gain.
        """
        for sample in data_samples:
            true = obtain_data(sample, self.gt_key, self.device)
            restored = obtain_data(sample['output'], self.pred_key, self.device)
            given = obtain_data(sample, 'input', self.device)
            if not true.shape == restored.shape == given.shape:
                raise ConfigError(
                    'RestorationGain compares input, output and ground truth of one shape, but '
                    f'got {tuple(given.shape)}, {tuple(restored.shape)} and {tuple(true.shape)}.'
                )
            frames = [x.reshape(-1, *x.shape[-3:]) for x in (true, restored, given)]
            gains = [self._gains(*triple) for triple in zip(*frames, strict=True)]
            self.results.append({name: np.mean([g[name] for g in gains]) for name in gains[0]})

    def _gains(self, true: np.ndarray, restored: np.ndarray, given: np.ndarray) -> dict[str, float]:
        options = dict(input_order='CHW', convert_to='Y', channel_order=self.channel_order)

        def gain(measure: Callable[..., float]) -> float:
            return measure(true, restored, **options) - measure(true, given, **options)

        return dict(PSNR_gain=gain(psnr), SSIM_gain=100 * gain(ssim))

    def compute_metrics(self, results: list[dict[str, float]]) -> dict[str, float]:
        """Average over the clips.

        Args:
            results (list[dict[str, float]]): Gains of each clip.

        Returns:
            dict[str, float]: ``PSNR_gain`` and ``SSIM_gain``.
        """
        return {name: float(np.mean([r[name] for r in results])) for name in results[0]}
