# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""A flow estimator alone, trained without labels."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmagic.registry import MODELS
from mmagic.structures import DataSample
from mmengine.model import BaseModel
from torch import Tensor

from ...errors import ConfigError
from ...ops.occlusion import inside_frame, visible_mask
from ...ops.resize_flow import rescale_flow
from ...ops.warp import warp
from ..iteration import IterationCounter

# Where less of a frame seems visible, the flow is wrong rather than so much hidden: to mask that
# would reward it.
_LEAST_VISIBLE = 0.2


@MODELS.register_module()
class UnsupervisedFlow(BaseModel):
    """Train and test a flow estimator without a single label.

    Three ways to learn, each on if it is configured: from synthetic flow, single frames warped by a
    motion that is drawn (here, as a first stage from which the photometric loss starts well, or in
    the data by :class:`.KnownMotion`); from the likeness of neighbouring frames (ARFlow, CVPR
    2020); and from a teacher that sees the clean frames (:class:`FlowDistillHead`). A pair that
    brings its flow, ``gt_flow``, teaches by that alone.

    Args:
        estimator (dict): Config of the estimator. If it has ``flow_pyramid`` and
            ``flow_pyramids``, as :class:`PWCLite`, the flows of all its levels are trained; of any
            other the flow alone.
        known_warps (dict, optional): Config of :class:`KnownWarps`. Defaults to None.
        warp_loss (dict, optional): Config of the loss between estimated and known flow. None
            ignores a flow in the data. Defaults to ``dict(type='FlowDistillLoss')``.
        photometric_loss (dict, optional): Config of the loss between a frame and its neighbour
            warped onto it, both as the estimator sees them. Defaults to None.
        smoothness_loss (dict, optional): Config of the loss on the flow of the finest level,
            before it is enlarged. Defaults to None.
        flow_head (dict, optional): Config of :class:`FlowDistillHead`. Defaults to None.
        scale_weights (Sequence[float]): Weights of the photometric loss, finest level first.
            Defaults to (1, 1, 1, 1, 0), ARFlow's.
        train_cfg (dict, optional): ``warp_iters`` (int): iterations on synthetic flow alone (all,
            if nothing else is configured). ``occlusion_begin`` (int): first iteration at which
            hidden pixels, by the forward-backward check, do not count; before, only those whose
            flow leaves the frame. Both default to 0.
        data_preprocessor (dict, optional): Config; it must bring frames to [0, 1].
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ConfigError: If no loss is configured, or ``train_cfg`` has an unknown key.
    """

    def __init__(
        self,
        estimator: dict,
        known_warps: dict | None = None,
        warp_loss: dict | None = dict(type='FlowDistillLoss'),  # noqa: B006
        photometric_loss: dict | None = None,
        smoothness_loss: dict | None = None,
        flow_head: dict | None = None,
        scale_weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0, 0.0),
        train_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        train_cfg = dict(train_cfg or {})
        self.warp_iters = train_cfg.pop('warp_iters', 0)
        self.occlusion_begin = train_cfg.pop('occlusion_begin', 0)
        if train_cfg:
            raise ConfigError(
                f'train_cfg knows warp_iters and occlusion_begin, but got {sorted(train_cfg)}.'
            )
        if self.warp_iters and known_warps is None:
            raise ConfigError(f'warp_iters={self.warp_iters} needs known_warps.')
        if known_warps is not None and warp_loss is None:
            raise ConfigError('known_warps needs a warp_loss.')
        if known_warps is None and photometric_loss is None and flow_head is None:
            raise ConfigError(
                'No loss is configured: give known_warps, photometric_loss or flow_head.'
            )
        self.estimator: Any = MODELS.build(estimator)
        self.known_warps = _build(known_warps)
        self.warp_loss = _build(warp_loss)
        self.photometric_loss = _build(photometric_loss)
        self.smoothness_loss = _build(smoothness_loss)
        self.flow_head = _build(flow_head)
        if self.flow_head is not None:
            self.flow_head.follow(self.estimator)
        self.scale_weights = tuple(scale_weights)
        self._iteration = IterationCounter()

    def forward(
        self,
        inputs: Tensor,
        data_samples: DataSample | None = None,
        mode: str = 'tensor',
    ) -> dict[str, Tensor] | list[DataSample] | Tensor:
        """Compute losses, predictions for metrics, or bare flow.

        Args:
            inputs (Tensor): Frames, (n, t, 3, h, w), RGB in [0, 1].
            data_samples (DataSample, optional): Stacked. ``gt_img`` holds the clean frames for
                ``flow_head``, ``flow_label`` its labels if they were found before
                (:class:`LoadFlowLabels`), ``gt_flow`` the true flow for metrics.
            mode (str): 'loss', 'predict' or 'tensor'. Defaults to 'tensor'.

        Returns:
            dict[str, Tensor] | list[DataSample] | Tensor: Named losses; data samples with
            ``output.pred_flow``, (2, H, W), of the size of ``gt_flow`` if there is one; or the flow
            from the first frame of each clip to its second, (n, 2, h, w).

        Raises:
            ConfigError: If there are fewer than two frames.
            ValueError: If ``mode`` is unknown.
        """
        if inputs.ndim != 5 or inputs.shape[1] < 2:
            raise ConfigError(
                f'Flow needs clips (n, t, 3, h, w) of at least 2 frames, but got '
                f'{tuple(inputs.shape)}: set num_input_frames to 2 or more.'
            )
        if mode == 'loss':
            return self._losses(inputs, data_samples)
        flow = self.estimator(inputs[:, 0], inputs[:, 1])
        if mode == 'tensor':
            return flow
        if mode == 'predict':
            return _predictions(flow, data_samples)
        raise ValueError(f"mode is 'loss', 'predict' or 'tensor', but got {mode!r}.")

    def _losses(self, inputs: Tensor, data_samples: DataSample | None) -> dict[str, Tensor]:
        iteration = self._iteration()
        known = None if data_samples is None else data_samples.get('gt_flow')
        if known is not None and self.warp_loss is not None:
            return dict(loss_warp=self._distance(inputs[:, 0], inputs[:, 1], known))
        neighbours = self.photometric_loss is not None or self.flow_head is not None
        if iteration < self.warp_iters or not neighbours:
            return dict(loss_warp=self._warp_loss(inputs, iteration))
        first, second = inputs[:, :-1].flatten(0, 1), inputs[:, 1:].flatten(0, 1)
        on_first, on_second = self._pyramids(first, second)
        losses = {}
        if self.photometric_loss is not None:
            checked = iteration >= self.occlusion_begin
            both_ways = (first, second, on_first, on_second), (second, first, on_second, on_first)
            terms = [self._photometric(*way, checked) for way in both_ways]
            losses['loss_photometric'] = torch.stack(terms).mean()
        if self.smoothness_loss is not None:
            losses['loss_smooth'] = self._smoothness((first, second), (on_first, on_second))
        if self.flow_head is not None and self.flow_head.active(iteration):
            n, t = inputs.shape[:2]
            flows = tuple(level[0].unflatten(0, (n, t - 1)) for level in (on_second, on_first))
            clean, kept = (
                None if data_samples is None else data_samples.get(key)
                for key in ('gt_img', 'flow_label')
            )
            losses |= self.flow_head(self.estimator, flows, clean, inputs, kept)
        if not losses:
            raise ConfigError(f'No loss is on at iteration {iteration}: see flow_head.begin, end.')
        return losses

    def _pyramids(self, first: Tensor, second: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        if hasattr(self.estimator, 'flow_pyramids'):
            return self.estimator.flow_pyramids(first, second)
        flow = self.estimator(torch.cat((first, second)), torch.cat((second, first)))
        on_first, on_second = flow.chunk(2)
        return [on_first], [on_second]

    def _warp_loss(self, inputs: Tensor, iteration: int) -> Tensor:
        ref, supp, flow = self.known_warps(inputs.flatten(0, 1), iteration)
        return self._distance(ref, supp, flow)

    def _distance(self, ref: Tensor, supp: Tensor, flow: Tensor) -> Tensor:
        """Mean over the levels of how far the estimate is from a known flow."""
        if hasattr(self.estimator, 'flow_pyramid'):
            estimated = self.estimator.flow_pyramid(ref, supp)
        else:
            estimated = [self.estimator(ref, supp)]
        return torch.stack([self.warp_loss(level, flow) for level in estimated]).mean()

    def _photometric(
        self,
        frame: Tensor,
        other: Tensor,
        flows: list[Tensor],
        flows_back: list[Tensor],
        checked: bool,
    ) -> Tensor:
        total = frame.new_zeros(())
        for weight, flow, back in zip(self.scale_weights, flows, flows_back, strict=False):
            if not weight:
                continue
            size = flow.shape[-2:]
            small, small_other = (F.interpolate(x, size, mode='area') for x in (frame, other))
            counted = _counted(flow, back, checked)
            warped = warp(small_other, flow, 'border')
            total = total + weight * self.photometric_loss(small, warped, counted)
        return total

    def _smoothness(
        self, frames: tuple[Tensor, Tensor], pyramids: tuple[list[Tensor], list[Tensor]]
    ) -> Tensor:
        """Smoothness of the finest flow, at the quarter of the size that it is estimated at."""
        terms = []
        for frame, flows in zip(frames, pyramids, strict=True):
            size = tuple(max(2, -(-side // 4)) for side in frame.shape[-2:])
            small = F.interpolate(frame, size, mode='area')
            terms.append(self.smoothness_loss(rescale_flow(flows[0], size)[0], small))
        return torch.stack(terms).mean()


def _build(cfg: dict | None) -> Any:
    return None if cfg is None else MODELS.build(cfg)


def _counted(flow: Tensor, back: Tensor, checked: bool) -> Tensor:
    """Return the pixels of each frame that count: the visible ones, if those are enough."""
    counted = torch.ones_like(flow[:, :1])
    for mask in (inside_frame(flow), visible_mask(flow, back) if checked else None):
        if mask is not None:
            enough = mask.mean((1, 2, 3), keepdim=True) >= _LEAST_VISIBLE
            counted = torch.where(enough, mask, counted)
    return counted


def _predictions(flow: Tensor, data_samples: DataSample | None) -> list[DataSample]:
    if data_samples is None:
        data_samples = DataSample.stack([DataSample() for _ in range(len(flow))])
    gt = data_samples.get('gt_flow')
    if gt is not None:
        flow = flow_at(flow, gt.shape[-2:])
    outputs = [DataSample(pred_flow=f) for f in flow.cpu()]
    samples = data_samples.split()
    for sample, output in zip(samples, outputs, strict=True):
        sample.output = output
    return samples


def flow_at(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring a flow to the size of frames that are a whole number of times larger.

    Args:
        flow (Tensor): (n, 2, h, w), pixels, x first.
        size (tuple[int, int]): Height and width; what is left over after a whole multiple of h
            and w was cropped before the frames were made smaller, and shows the flow beside it.

    Returns:
        Tensor: ``(n, 2, *size)``, in pixels of that size.
    """
    h, w = flow.shape[-2:]
    scale = max(1, size[0] // h)
    flow = rescale_flow(flow, (h * scale, w * scale))[0]
    return F.pad(flow, (0, size[1] - w * scale, 0, size[0] - h * scale), mode='replicate')
