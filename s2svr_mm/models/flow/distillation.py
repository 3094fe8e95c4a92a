# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Flow on degraded frames learnt from flow on clean ones."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmagic.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor

from ...errors import ConfigError, DataError
from ...ops.occlusion import visible_mask
from ...ops.resize_flow import rescale_flow
from ...ops.warp import warp
from .estimators import pair_flows
from .labels import check_label, label_flows


@MODELS.register_module()
class FlowDistillHead(BaseModule):
    """Losses of a student that sees degraded frames, beside a teacher that sees the clean ones.

    The S2SVR paper (ICML 2022) trains its estimator with an unsupervised distillation loss but
    publishes no formula. This is our reading: the distance of the student's flow from the
    teacher's, where the teacher's own forward-backward check holds; and, so that the student can
    outgrow its teacher, how well its flow aligns the clean frames; and smoothness. Each part is
    switched off by None.

    With ``pairings='all'`` each loss is the mean over the four pairs that a clean or degraded first
    frame makes with a clean or degraded second one, all against the one label, so that a quality
    that swings from frame to frame is nothing new (as BIMNet is trained, Recurrent Video Deblurring
    with Blur-Invariant Motion Estimation and Pixel Volumes, TOG 2021). Frames of different sizes
    make no pair: of degraded frames that are smaller, the two clean ones are the only other pair.

    The teacher's weights are buffers: no optimizer and no gradient finds them, and they move, save
    and resume with the model.

    Args:
        teacher (dict | nn.Module, optional): Frozen estimator, or its config with weights in its
            ``init_cfg`` or ``checkpoint``. Defaults to None: an exponential moving average of the
            student.
        momentum (float): Share of the student in each step of the average. Defaults to 0.001.
        distill_loss (dict, optional): Config of the loss between the flows. Defaults to
            ``dict(type='FlowDistillLoss')``.
        photometric_loss (dict, optional): Config of the loss between clean frames that the
            student's flow aligns. Defaults to None.
        smoothness_loss (dict, optional): Config of the loss on the student's flow and the edges
            of clean frames. Defaults to None.
        label (str): How the teacher's flow becomes the label: 'plain', 'flips', 'refine' or
            'flips+refine'; see :func:`.label_flows`. Defaults to 'plain'.
        pairings (str): 'degraded' for pairs of degraded frames alone, or 'all'. Defaults to
            'degraded'.
        begin (int): First iteration with these losses. Defaults to 0.
        end (int, optional): First iteration without them again. Defaults to None.

    Raises:
        ConfigError: If all losses are off, ``momentum`` is not in (0, 1], ``label`` or ``pairings``
            is unknown, or the config of the teacher names no weights.
    """

    def __init__(
        self,
        teacher: dict | nn.Module | None = None,
        momentum: float = 0.001,
        distill_loss: dict | None = dict(type='FlowDistillLoss'),  # noqa: B006
        photometric_loss: dict | None = None,
        smoothness_loss: dict | None = None,
        label: str = 'plain',
        pairings: str = 'degraded',
        begin: int = 0,
        end: int | None = None,
    ) -> None:
        super().__init__()
        if pairings not in ('degraded', 'all'):
            raise ConfigError(f"pairings must be 'degraded' or 'all', but got {pairings!r}.")
        self.label = check_label(label)
        self.pairings = pairings
        losses = (distill_loss, photometric_loss, smoothness_loss)
        if not any(losses):
            raise ConfigError(
                'All losses of FlowDistillHead are None: leave flow_head out instead.'
            )
        if not 0 < momentum <= 1:
            raise ConfigError(f'momentum must be in (0, 1], but got {momentum}.')
        self.distill_loss, self.photometric_loss, self.smoothness_loss = (
            None if loss is None else MODELS.build(loss) for loss in losses
        )
        self.momentum = momentum
        self.begin = begin
        self.end = end
        self.averages = teacher is None
        if isinstance(teacher, dict):
            _check_names_weights(teacher)
            teacher = MODELS.build(teacher)
        # None until `follow` knows of whom it is the average.
        self.teacher: Any = _frozen(copy.deepcopy(teacher)) if teacher is not None else None
        if self.averages:
            self.register_buffer('num_averaged', torch.zeros((), dtype=torch.long))

    def follow(self, student: nn.Module) -> None:
        """Create the moving average of a student, if that is the teacher.

        Args:
            student (nn.Module): The estimator to be trained.
        """
        if self.averages:
            self.teacher = _frozen(copy.deepcopy(student))

    def init_weights(self) -> None:
        """Load the teacher's weights; an average starts with the student's, at the first step."""
        if not self.averages:
            super().init_weights()

    def train(self, mode: bool = True) -> 'FlowDistillHead':
        """Set the mode of the losses; the teacher always evaluates."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

    def active(self, iteration: int) -> bool:
        """Whether the head has losses at an iteration.

        Args:
            iteration (int): Iterations done.

        Returns:
            bool: Whether it has.
        """
        return iteration >= self.begin and (self.end is None or iteration < self.end)

    def forward(
        self,
        student: nn.Module,
        flows: tuple[Tensor, Tensor],
        clean: Tensor | None,
        degraded: Tensor | None = None,
        kept: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Compute the losses of a batch of clips.

        Args:
            student (nn.Module): The estimator.
            flows (tuple[Tensor, Tensor]): Its flows on the degraded frames, forward and backward
                as of :meth:`S2SVRNet.compute_flow`, (n, t - 1, 2, h, w) each.
            clean (Tensor): Ground truth of all frames, (n, t, 3, H, W), RGB in [0, 1].
            degraded (Tensor, optional): The degraded frames, (n, t, 3, h, w), which
                ``pairings='all'`` needs. Defaults to None.
            kept (Tensor, optional): Labels of clips of two frames that were found before, by
                :class:`.FlowLabeler`, (n, 6, H, W) or larger at the right and the bottom, in place
                of asking the teacher. Defaults to None.

        Returns:
            dict[str, Tensor]: ``loss_flow_distill``, ``loss_flow_photometric`` and
            ``loss_flow_smooth``, as far as they are on; empty for a clip of one frame.

        Raises:
            ConfigError: If there is no clean frame for each degraded one, or no ``degraded`` ones.
            DataError: If ``kept`` belongs to other frames.
        """
        t = flows[0].shape[1] + 1
        if clean is None or clean.ndim != 5 or clean.shape[1] != t:
            raise ConfigError(
                f'FlowDistillHead needs the ground truth of all {t} frames, but got '
                f"{'none' if clean is None else tuple(clean.shape)}. Give data_prefix a 'gt', and "
                "gt_frames='all', or leave flow_head out."
            )
        if self.averages:
            self._average(student)
        if t == 1:
            return {}
        earlier, later = _neighbours(clean, clean)
        taught, visible = self._labels(earlier, later, kept)
        # Flows live on the later frame of a pair, then on the earlier one.
        ref, supp = torch.cat((later, earlier)), torch.cat((earlier, later))
        found = [torch.cat([direction.flatten(0, 1) for direction in flows])]
        if self.pairings == 'all':
            found += self._other_pairings(student, clean, degraded)
        losses = [self._losses(flow, taught, visible, ref, supp) for flow in found]
        return {name: torch.stack([loss[name] for loss in losses]).mean() for name in losses[0]}

    def _labels(self, earlier: Tensor, later: Tensor, kept: Tensor | None) -> tuple[Tensor, Tensor]:
        """Flows of the later frames, then of the earlier ones, and where they are believed."""
        if kept is None:
            on_earlier, on_later = label_flows(self.teacher, earlier, later, self.label)
            masks = visible_mask(on_later, on_earlier), visible_mask(on_earlier, on_later)
            return torch.cat((on_later, on_earlier)), torch.cat(masks)
        h, w = earlier.shape[-2:]
        if kept.shape[:2] != (len(earlier), 6) or kept.shape[2] < h or kept.shape[3] < w:
            raise DataError(
                f'The labels of pairs {tuple(earlier.shape)} are {(len(earlier), 6, h, w)}, but '
                f'got {tuple(kept.shape)}.'
            )
        on_earlier, on_later, of_earlier, of_later = kept[..., :h, :w].split((2, 2, 1, 1), 1)
        return torch.cat((on_later, on_earlier)), torch.cat((of_later, of_earlier))

    def _losses(
        self, flow: Tensor, taught: Tensor, visible: Tensor, ref: Tensor, supp: Tensor
    ) -> dict[str, Tensor]:
        losses = {}
        if self.distill_loss is not None:
            losses['loss_flow_distill'] = self.distill_loss(flow, taught, visible)
        if self.photometric_loss is not None:
            large = rescale_flow(flow, ref.shape[-2:])[0]
            losses['loss_flow_photometric'] = self.photometric_loss(
                ref, warp(supp, large, 'border'), visible
            )
        if self.smoothness_loss is not None:
            small = F.interpolate(ref, flow.shape[-2:], mode='area')
            losses['loss_flow_smooth'] = self.smoothness_loss(flow, small)
        return losses

    def _other_pairings(
        self, student: nn.Module, clean: Tensor, degraded: Tensor | None
    ) -> Iterator[Tensor]:
        """Yield the student's flows on all pairs but the degraded ones, in the order of those."""
        if degraded is None or degraded.shape[:2] != clean.shape[:2]:
            shown = 'none' if degraded is None else tuple(degraded.shape)
            raise ConfigError(
                f"pairings='all' needs a degraded frame for each of the clean ones, "
                f'{tuple(clean.shape)}, but got {shown}.'
            )
        pairs = [(clean, clean)]
        if degraded.shape == clean.shape:
            pairs += [(clean, degraded), (degraded, clean)]
        for pair in pairs:
            on_earlier, on_later = pair_flows(student, *_neighbours(*pair))
            yield torch.cat((on_later, on_earlier))

    @torch.no_grad()
    def _average(self, student: nn.Module) -> None:
        share = self.momentum if self.num_averaged else 1.0
        of_student = student.state_dict()
        for name, value in self.teacher.state_dict().items():
            if value.is_floating_point():
                value.lerp_(of_student[name].to(value.dtype), share)
            else:
                value.copy_(of_student[name])
        self.num_averaged += 1


def _neighbours(earlier: Tensor, later: Tensor) -> tuple[Tensor, Tensor]:
    """All frames of clips but the last, and all but the first: pairs (n * (t - 1), 3, h, w)."""
    return earlier[:, :-1].flatten(0, 1), later[:, 1:].flatten(0, 1)


def _check_names_weights(teacher: dict) -> None:
    init_cfg = teacher.get('init_cfg') or {}
    if teacher.get('type') in ('DISFlow', 'ZeroFlow') or teacher.get('checkpoint'):
        return
    if init_cfg.get('type') != 'Pretrained':
        raise ConfigError(
            f'The teacher {teacher.get("type")} has no weights: give it init_cfg=dict('
            "type='Pretrained', checkpoint=...), or leave teacher out for an average of the "
            'student.'
        )


def _frozen(module: Any) -> nn.Module:
    """Turn all parameters of a module into buffers, and set it to evaluate."""
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, parameter.detach())
    return module.eval()
