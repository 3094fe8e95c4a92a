# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Every config that restores video, on small stand-ins laid out as its data set is."""

from pathlib import Path

import pytest
import torch
from mmagic.registry import MODELS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
RESTORATION = [
    's2svr_reds',
    's2svr_gopro',
    's2svr_clips',
    's2svr_demo',
    'basicvsr_reds',
    'basicvsr_demo',
]


def load(name: str) -> Config:
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    init_default_scope(cfg.default_scope)
    if name.startswith('basicvsr'):
        cfg.model.generator.spynet_pretrained = None  # nothing is downloaded
    return cfg


@pytest.fixture
def stand_in(clip_pairs, save_frames, make_clip, make_lq, tmp_path):
    """Writes a small data set with the folders of a real one; returns the root."""

    def write(data_root: str) -> Path:
        root = tmp_path / data_root
        size = dict(num_frames=16, height=64, width=96)
        name = Path(data_root).name
        if name == 'REDS':
            for seed, clip in enumerate(('000', '001')):
                gt = make_clip(**size, seed=seed)
                save_frames(root / 'train_sharp' / clip, gt)
                save_frames(root / 'train_sharp_bicubic' / 'X4' / clip, make_lq(gt, 4))
            lines = [f'{{clip}}/{i:08d}.png (64, 96, 3)\n' for i in range(16)]
            for part, clip in (('train', '001'), ('val', '000')):
                text = ''.join(line.format(clip=clip) for line in lines)
                (root / f'meta_info_reds4_{part}.txt').write_text(text)
            return root
        folders, scale = {
            'GoPro': (('blur', 'sharp'), 1),
            'demo': (('lq', 'gt'), 4),
            'clips': (('lq', 'gt'), 4),
        }[name]
        parts = ('train', 'test') if name == 'GoPro' else ('train', 'val')
        for seed, part in enumerate(parts):
            gt = make_clip(**size, seed=seed)
            save_frames(root / part / folders[0] / 'clip', make_lq(gt, scale))
            save_frames(root / part / folders[1] / 'clip', gt)
        return root

    return write


@pytest.mark.parametrize('name', RESTORATION)
def test_builds_model_optimizer_and_schedule(name):
    cfg = load(name)
    model = MODELS.build(cfg.model)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    custom = cfg.optim_wrapper.get('paramwise_cfg', {}).get('custom_keys', {})
    names = {id(p): n for n, p in model.named_parameters()}
    groups = wrapper.optimizer.param_groups
    assert sum(len(group['params']) for group in groups) == len(names)
    base = cfg.optim_wrapper.optimizer.lr
    for key, options in custom.items():
        rates = {g['lr'] for g in groups for p in g['params'] if key in names[id(p)]}
        # A key that names no module would silently do nothing.
        assert rates == {base * options.lr_mult}, key
    schedule = dict(cfg.param_scheduler, end=cfg.train_cfg.max_iters)
    scheduler = PARAM_SCHEDULERS.build(schedule, default_args=dict(optimizer=wrapper))
    assert scheduler.T_max == cfg.train_cfg.max_iters


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('s2svr_reds', dict(width=64, scale=4, frames=15, lr=1e-4, iters=600_000, fix=10_000)),
        ('s2svr_gopro', dict(width=48, scale=1, frames=7, lr=2e-4, iters=200_000, fix=5_000)),
    ],
)
def test_settings_of_the_paper(name, expected):
    cfg = load(name)
    found = dict(
        width=cfg.model.generator.mid_channels,
        scale=cfg.model.generator.scale,
        frames=cfg.train_dataloader.dataset.num_input_frames,
        lr=cfg.optim_wrapper.optimizer.lr,
        iters=cfg.train_cfg.max_iters,
        fix=cfg.model.train_cfg.fix_iter,
    )
    assert found == expected
    assert cfg.model.generator.num_blocks == 13
    assert cfg.model.generator.num_layers == 3
    assert cfg.optim_wrapper.paramwise_cfg.custom_keys.flow_estimator.lr_mult == 0.25


@pytest.mark.parametrize('pair', [('s2svr_reds', 'basicvsr_reds'), ('s2svr_demo', 'basicvsr_demo')])
def test_baselines_see_the_same_data(pair):
    ours, baseline = map(load, pair)
    for part in ('train_dataloader', 'val_dataloader', 'test_dataloader', 'test_evaluator'):
        assert ours[part] == baseline[part]


@pytest.mark.parametrize('name', RESTORATION)
def test_trains_and_validates(name, stand_in, run_tool):
    cfg = load(name)
    stand_in(cfg.train_dataloader.dataset.data_root)
    crop = next(
        i for i, t in enumerate(cfg.train_dataloader.dataset.pipeline) if 'Crop' in t['type']
    )
    options = [
        'model.generator.mid_channels=4',
        'model.generator.num_blocks=1',
        f'train_dataloader.dataset.pipeline.{crop}.gt_patch_size=64',
        'train_dataloader.batch_size=1',
        'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
        'val_dataloader.num_workers=0',
        'val_dataloader.persistent_workers=False',
        'train_cfg.max_iters=2',
        'train_cfg.val_interval=2',
        'default_hooks.logger.interval=1',
    ]
    if name.startswith('basicvsr'):
        options.append('model.generator.spynet_pretrained=None')
    result = run_tool(
        'train', CONFIGS / f'{name}.py', '--work-dir', 'out', '--cfg-options', *options
    )
    assert result.status == 0, result.output
    assert 'Iter(train) [2/2]' in result.output
    assert 'PSNR: ' in result.output


@pytest.mark.parametrize('name', ['s2svr_reds', 's2svr_gopro', 's2svr_clips'])
def test_missing_data_says_which_folder_and_command(name, run_tool):
    result = run_tool('train', CONFIGS / f'{name}.py')
    assert result.status == 1
    assert load(name).train_dataloader.dataset.data_root in result.output
    assert f'tools/prepare_data.py {name.split("_")[1]}' in result.output
    assert 'Traceback' not in result.output


def test_file_names_are_unique():
    names = [path.name for path in CONFIGS.rglob('*.py') if '_base_' not in path.parts]
    assert len(names) == len(set(names))


def test_sizes_that_configs_and_readme_state():
    with torch.device('meta'):
        ours, baseline = (
            MODELS.build(load(name).model.generator) for name in ('s2svr_reds', 'basicvsr_reds')
        )
    sizes = [sum(p.numel() for p in m.parameters()) / 1e6 for m in (ours, baseline)]
    assert [round(size, 1) for size in sizes] == [11.5, 6.3]
