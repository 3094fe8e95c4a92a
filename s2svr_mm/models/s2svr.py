# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""S2SVR as a model of mmagic: losses for training, data samples for testing."""

import torch
from mmagic.models import BaseEditModel
from mmagic.models.archs import SpatialTemporalEnsemble
from mmagic.registry import MODELS
from mmagic.structures import DataSample
from mmengine.dist import is_distributed
from torch import Tensor

from ..errors import ConfigError
from .iteration import IterationCounter


@MODELS.register_module()
class S2SVR(BaseEditModel):
    """Train and test :class:`S2SVRNet`.

    Paper: Unsupervised Flow-Aligned Sequence-to-Sequence Learning for Video Restoration,
    ICML 2022.

    Args:
        generator (dict): Config of the network.
        pixel_loss (dict): Config of the loss between restored frames and ground truth.
        flow_head (dict, optional): Config of :class:`FlowDistillHead`, which trains the flow
            estimator beside the restoration loss once it is not frozen. Defaults to None.
        ensemble (dict, optional): ``dict(type='SpatialTemporalEnsemble',
            is_temporal_ensemble=...)`` to average the predictions for flipped, transposed and
            reversed clips. Defaults to None.
        train_cfg (dict, optional): ``fix_iter`` (int): for so many iterations the flow estimator
            is left as it is. It then trains with the learning rate that the optimizer's config
            gives to ``flow_estimator``. Defaults to None.
        test_cfg (dict, optional): Config of testing. Defaults to None.
        init_cfg (dict, optional): Initialization config. Defaults to None.
        data_preprocessor (dict, optional): Config of the data preprocessor; it must bring frames
            to [0, 1]. Defaults to None.

    Raises:
        ConfigError: If ``ensemble`` or ``train_cfg`` holds what is not known here.
    """

    def __init__(
        self,
        generator: dict,
        pixel_loss: dict,
        flow_head: dict | None = None,
        ensemble: dict | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(
            generator=generator,
            pixel_loss=pixel_loss,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            init_cfg=init_cfg,
            data_preprocessor=data_preprocessor,
        )
        unknown = set(train_cfg or {}) - {'fix_iter'}
        if unknown:
            raise ConfigError(f'train_cfg knows fix_iter, but got {sorted(unknown)}.')
        self.fix_iter = (train_cfg or {}).get('fix_iter', 0)
        self._iteration = IterationCounter()
        self.flow_head = None
        if flow_head is not None:
            self.flow_head = MODELS.build(flow_head)
            self.flow_head.follow(self.generator.flow_estimator)
        self.ensemble = None
        if ensemble is not None:
            if ensemble.get('type') != 'SpatialTemporalEnsemble':
                raise ConfigError(
                    f"ensemble must be of type 'SpatialTemporalEnsemble', but got {ensemble}."
                )
            self.ensemble = SpatialTemporalEnsemble(ensemble.get('is_temporal_ensemble', False))

    def forward_train(self, inputs: Tensor, data_samples: DataSample) -> dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            inputs (Tensor): Degraded frames, (n, t, 3, h, w), RGB in [0, 1].
            data_samples (DataSample): Stacked; ``gt_img`` is (n, t, 3, H, W), or (n, 3, H, W) if
                only the centre frame has a ground truth.

        Returns:
            dict[str, Tensor]: ``loss_pixel``, and the losses of ``flow_head``.
        """
        iteration = self._iteration()
        frozen = iteration < self.fix_iter
        estimator = self.generator.flow_estimator
        estimator.train(not frozen)
        with torch.set_grad_enabled(not frozen):
            flows = self.generator.compute_flow(inputs)
        restored = self.generator(inputs, flows)
        gt = data_samples.gt_img
        if gt.ndim == 4:
            restored = centre_frame(restored, inputs)
        loss = self.pixel_loss(restored, gt)
        if frozen and is_distributed():
            # DDP waits for a gradient of every parameter. A zero one lets it go on, whether or
            # not it looks for unused parameters, and changes nothing (give `flow_estimator` a
            # `decay_mult` of 0 where there is weight decay).
            loss = loss + 0 * sum(p.sum() for p in estimator.parameters())
        losses = dict(loss_pixel=loss)
        if self.flow_head is not None and not frozen and self.flow_head.active(iteration):
            losses |= self.flow_head(estimator, flows, gt, inputs)
        return losses

    def forward_inference(
        self, inputs: Tensor, data_samples: DataSample | None = None
    ) -> DataSample:
        """Restore a batch of clips.

        Args:
            inputs (Tensor): Degraded frames, (n, t, 3, h, w), RGB in [0, 1].
            data_samples (DataSample, optional): Stacked. If it has a ``gt_img`` that is a single
                frame, so is the prediction: of a mirror-extended clip, the mean of both copies
                of its centre frame.

        Returns:
            DataSample: ``pred_img``, (n, t, 3, H, W) or (n, 3, H, W), in [0, 255].
        """
        if self.ensemble is None:
            restored = self.generator(inputs)
        else:
            restored = self.ensemble(inputs, self.generator)
        gt = None if data_samples is None else data_samples.get('gt_img')
        if gt is not None and gt.ndim == 4:
            restored = centre_frame(restored, inputs)
        restored = self.data_preprocessor.destruct(restored, data_samples)
        metainfo = None if data_samples is None else data_samples.metainfo
        return DataSample(pred_img=restored.cpu(), metainfo=metainfo)

    def convert_to_datasample(
        self, predictions: DataSample, data_samples: DataSample | None, inputs: Tensor | None
    ) -> list[DataSample]:
        """Add predictions and inputs to the data samples, of which there may be none yet.

        Args:
            predictions (DataSample): What :meth:`forward_inference` returns.
            data_samples (DataSample, optional): Stacked.
            inputs (Tensor, optional): Degraded frames.

        Returns:
            list[DataSample]: One for each clip.
        """
        if data_samples is None:
            data_samples = DataSample.stack([DataSample() for _ in predictions.pred_img])
        return super().convert_to_datasample(predictions, data_samples, inputs)


def centre_frame(restored: Tensor, inputs: Tensor) -> Tensor:
    """Pick the restored centre frame.

    Args:
        restored (Tensor): (n, t, 3, H, W).
        inputs (Tensor): What it was restored from, (n, t, 3, h, w). If its second half is its
            first half reversed (Vimeo-90K's 7 frames extended to 14), both copies of the centre
            frame are averaged.

    Returns:
        Tensor: (n, 3, H, W).
    """
    t = inputs.shape[1]
    first, second = inputs[:, : t // 2], inputs[:, t // 2 :]
    if t % 2 == 0 and torch.equal(first, second.flip(1)):
        return 0.5 * (restored[:, t // 4] + restored[:, -1 - t // 4])
    return restored[:, t // 2]
