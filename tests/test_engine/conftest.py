# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""A runner for a model so small that training takes no time."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mmagic.structures import DataSample
from mmengine.dataset import BaseDataset
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS
from mmengine.runner import Runner
from torch import nn

import s2svr_mm  # noqa: F401


@DATASETS.register_module()
class NoisyNumbers(BaseDataset):
    """Seven samples, each with noise from all three global generators."""

    def load_data_list(self) -> list[dict]:
        return [dict(img_path=f'clip/{index}.png', value=float(index)) for index in range(7)]

    def prepare_data(self, idx: int) -> dict:
        info = self.get_data_info(idx)
        noise = [np.random.rand(), random.random(), torch.rand(()).item()]
        sample = DataSample(metainfo=dict(img_path=[info['img_path']]))
        return dict(inputs=torch.tensor([info['value'], *noise]), data_samples=sample)


@MODELS.register_module()
class NoisyModel(BaseModel):
    """A linear model with dropout; ``fault`` makes something non-finite at sample 3."""

    def __init__(self, width: int = 8, fault: str = '') -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, width), nn.Dropout(0.3), nn.Linear(width, 1))
        self.register_buffer('counter', torch.zeros(1))
        self.fault = fault

    def forward(self, inputs: list, data_samples: list, mode: str = 'loss') -> dict | list:
        inputs = torch.stack(inputs)
        restored = self.layers(inputs)
        if mode == 'predict':
            return data_samples
        loss = (restored - inputs.sum(1, keepdim=True)).square().mean()
        hit = (inputs[:, 0] == 3).any()
        if self.fault == 'loss' and hit:
            loss = loss * float('nan')
        if self.fault == 'gradient' and hit:
            loss = loss + (restored * 0).sum().abs().sqrt()
        return dict(loss_pixel=loss, loss_other=0.1 * loss.detach())


@pytest.fixture
def make_runner(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Runner]:
    """A function that makes a runner; its arguments are the parts of the config to change."""
    count = 0

    def make(
        work_dir: str = 'run',
        max_iters: int = 8,
        workers: int = 0,
        persistent: bool = False,
        seed: int | None = 5,
        checkpoint: dict | None = None,
        **changes,
    ) -> Runner:
        nonlocal count
        count += 1
        config = dict(
            model=dict(type='NoisyModel'),
            work_dir=str(tmp_path / work_dir),
            train_dataloader=dict(
                batch_size=2,
                num_workers=workers,
                persistent_workers=persistent,
                sampler=dict(type='InfiniteSampler', shuffle=True),
                dataset=dict(type='NoisyNumbers'),
            ),
            train_cfg=dict(type='ResumableTrainLoop', max_iters=max_iters),
            optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-2)),
            param_scheduler=dict(type='CosineAnnealingLR', T_max=8, end=8, by_epoch=False),
            default_hooks=dict(
                checkpoint={**dict(type='SafeCheckpointHook', interval=2), **(checkpoint or {})},
                strict_load=dict(type='StrictLoadHook'),
                resume_schedule=dict(type='ResumeScheduleHook'),
                non_finite=dict(type='StopAtNonFiniteHook'),
                logger=dict(type='LoggerHook', interval=1),
            ),
            log_processor=dict(by_epoch=False),
            randomness=dict(seed=seed),
            default_scope='mmagic',
            experiment_name=f'{request.node.name}_{count}',
        )
        config.update(changes)
        return Runner(**config)

    yield make
    MMLogger._instance_dict.clear()
