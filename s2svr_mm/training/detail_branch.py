# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Training a network's detail branch by itself, on a CPU, faster than with the recurrence."""

from collections.abc import Iterator
from itertools import chain, islice, repeat
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmagic.registry import MODELS
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, set_random_seed
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from ..checkpoints.files import read_weights
from ..checkpoints.matching import load_into
from ..errors import ConfigError, NonFiniteError
from ..models.detail_branch import DetailBranch
from ..ops.pixel_unshuffle import unshuffle
from ..utils.building import config_errors


def build_model(cfg: Config) -> BaseModel:
    """Return the model of a config with its weights.

    Args:
        cfg (Config): With ``load_from``, the weights come from there, those of the detail branch
            too if they fit; a branch of another shape, or none, is begun anew. Without it, the last
            convolution of the decoder becomes zero: a recurrence that has learnt nothing is silent.

    Returns:
        BaseModel: The model.

    Raises:
        ConfigError: Its generator has no detail branch.
        CheckpointError: What ``load_from`` names is of another network.
    """
    init_default_scope('mmagic')
    set_random_seed(**{'seed': 0, **cfg.get('randomness', {})})
    with config_errors(cfg, cfg.filename):
        model = MODELS.build(cfg.model)
    net: Any = getattr(model, 'generator', None)
    if getattr(net, 'details', None) is None:
        raise ConfigError(f'{cfg.filename}: no generator with a detail_branch, nothing to train')
    model.init_weights()
    if not cfg.get('load_from'):
        nn.init.zeros_(net.decoder.output.convs[-1].weight)
        nn.init.zeros_(net.decoder.output.convs[-1].bias)
        return model
    load_into(net, read_weights(cfg.load_from), cfg.load_from, renewed='details.')
    return model


def collect_details(
    model: BaseModel, dataloader: dict, clips: int, progress: bool = False
) -> list[tuple[Tensor, Tensor]]:
    """Read training clips; return the inputs of the branch for them and the residuals to learn.

    A residual is what the rest of the network, with its present weights and feedback, leaves to be
    restored.

    Args:
        model (BaseModel): An ``S2SVR`` whose generator has a :class:`.DetailBranch`.
        dataloader (dict): Config of the data loader; its batches become single clips.
        clips (int): How many.
        progress (bool): Whether to show a progress bar. Defaults to False.

    Returns:
        list[tuple[Tensor, Tensor]]: Of each clip what is seen of its t frames, (t, c, h, w), and
        the residuals that it should have, (t, 3 * unshuffle ** 2, h, w); half precision.
    """
    net = model.generator
    loader = Runner.build_dataloader(dict(dataloader, batch_size=1))
    batches = islice(chain.from_iterable(repeat(loader)), clips)
    collected = []
    # What the windows would take of the branch is no fault of the rest.
    window, net.brightness_window = net.brightness_window, None
    try:
        for batch in tqdm(batches, total=clips, unit='clips', disable=not progress):
            collected.append(_details(model, batch))
    finally:
        net.brightness_window = window
    return collected


@torch.inference_mode()
def _details(model: BaseModel, batch: dict) -> tuple[Tensor, Tensor]:
    """Compute what the branch sees of a clip, and the residuals that it should have."""
    net = model.generator
    data = model.data_preprocessor(batch, training=True)
    lqs, gts = data['inputs'], data['data_samples'].gt_img
    frames = lqs.unbind(1)
    flows = net.compute_flow(lqs)
    by_frame = [flow.unbind(1) for flow in flows]
    seen = torch.cat([net.details.seen(i, frames, *by_frame) for i in range(len(frames))])
    with torch.autocast('cpu', torch.bfloat16):
        missing = unshuffle((gts - net(lqs, flows))[0], net.unshuffle)
        residuals = missing + net.details.residual(seen)
    return seen.half(), residuals.half()


def train_details(
    branch: DetailBranch,
    clips: list[tuple[Tensor, Tensor]],
    iters: int,
    lr: float = 1.5e-3,
    batch_size: int = 8,
    patch: int = 24,
    ema_momentum: float = 0.002,
) -> Iterator[tuple[int, float]]:
    """Train a branch by the squared error; at the end it holds an average of its last weights.

    Args:
        branch (DetailBranch): The branch, trained in place.
        clips (list[tuple[Tensor, Tensor]]): What :func:`collect_details` returns.
        iters (int): Steps.
        lr (float): Highest learning rate, of Adam. Defaults to 1.5e-3.
        batch_size (int): Patches a step, each of a frame and a place drawn anew. Defaults to 8.
        patch (int): Their side, in pixels of the branch. Defaults to 24.
        ema_momentum (float): Part of the weights in their moving average. Defaults to 0.002.

    Yields:
        tuple[int, float]: Every 100 steps and after the last: how many are done, and by how many
        decibels the residuals of the last steps were smaller than what the branch had to find.

    Raises:
        NonFiniteError: If an error is not finite.
    """
    optimizer = torch.optim.Adam(branch.parameters(), lr, betas=(0.9, 0.99))
    warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, total_iters=min(100, iters))
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, iters)
    average = AveragedModel(branch, multi_avg_fn=get_ema_multi_avg_fn(1 - ema_momentum))
    found = torch.zeros(2)
    for step in range(1, iters + 1):
        seen, residuals = (x.float() for x in _draw(clips, batch_size, patch))
        with torch.autocast('cpu', torch.bfloat16):
            output = branch.residual(seen.contiguous(memory_format=torch.channels_last))
        error = F.mse_loss(output.float(), residuals)
        if not error.isfinite():
            raise NonFiniteError(
                f'training of the branch stopped at step {step}: the squared error is '
                f'{error.item()}. No weights were written. Give a --lr below {lr:g}, or begin at '
                'other weights (load_from).'
            )
        optimizer.zero_grad()
        # The errors are of a few grey levels in 255; larger, the clipping is that of the configs.
        (30 * error).backward()
        torch.nn.utils.clip_grad_norm_(branch.parameters(), 0.1)
        optimizer.step()
        warm_up.step()
        cosine.step()
        average.update_parameters(branch)
        found += torch.tensor([residuals.square().mean(), error.detach()])
        if step % 100 == 0 or step == iters:
            yield step, (10 * torch.log10(found[0] / found[1])).item()
            found.zero_()
    branch.load_state_dict(average.module.state_dict())


def _draw(clips: list[tuple[Tensor, Tensor]], count: int, side: int) -> tuple[Tensor, Tensor]:
    """Patches of frames drawn at random."""
    patches: list[tuple[Tensor, Tensor]] = []
    for _ in range(count):
        seen, residuals = clips[_below(len(clips))]
        i = _below(len(seen))
        y, x = (_below(max(size - side, 0) + 1) for size in seen.shape[-2:])
        place = (i, slice(None), slice(y, y + side), slice(x, x + side))
        patches.append((seen[place], residuals[place]))
    inputs, targets = zip(*patches, strict=True)
    return torch.stack(inputs), torch.stack(targets)


def _below(count: int) -> int:
    return int(torch.randint(count, ()))
