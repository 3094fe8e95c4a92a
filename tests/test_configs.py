# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Every config that restores video, on small stand-ins laid out as its data set is."""

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.clips import degrade, moving_clip, write_frames
from mmagic.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
# One of each kind of network and loader; the others are trained in the slow tests.
TRAINED = [
    's2svr_reds',
    's2svr_deblur_compress',
    's2svr_s_x4',
    's2svr_demo',
    'basicvsr_reds',
]
OTHERS = [
    's2svr_vimeo90k_bi',
    's2svr_gopro',
    's2svr_clips_compress',
    's2svr_clips',
    's2svr_clips_deblur',
    'basicvsr_demo',
    'iconvsr_reds',
    'basicvsr_pp_reds',
    's2svr_vimeo90k_bd',
    's2svr_dvd',
    's2svr_s_compress',
    's2svr_s_compress_video',
    's2svr_s_x2_video',
    's2svr_reds_h264',
    's2svr_s_x4_video',
    's2svr_s_deblur',
    's2svr_s_deblur_light',
    's2svr_demo_distill',
    'basicvsr_s_x4',
    'basicvsr_s_compress',
    'basicvsr_s_deblur',
    'basicvsr_s_x2_video',
    *(f's2svr_mfqev2_qp{qp}' for qp in (22, 27, 32, 37, 42)),
    *(
        f'{n}_vimeo90k_{kind}'
        for n in ('basicvsr', 'iconvsr', 'basicvsr_pp')
        for kind in ('bi', 'bd')
    ),
]
RESTORATION = TRAINED + OTHERS
# Frames that are blurred into others, in training and in testing.
BLURRED = dict(
    s2svr_clips_deblur=(2, 2),
    s2svr_s_deblur=(6, 2),
    s2svr_s_deblur_light=(6, 2),
    basicvsr_s_deblur=(6, 2),
)
BENCHMARKS = [f'{n}_benchmarks' for n in ('s2svr', 'basicvsr', 'iconvsr', 'basicvsr_pp')]


def load(name: str) -> Config:
    cfg = Config.fromfile(next(CONFIGS.rglob(f'{name}.py')))
    init_default_scope(cfg.default_scope)
    for key in ('spynet_pretrained', 'edvr_pretrained'):
        if key in cfg.model.generator:
            cfg.model.generator[key] = None  # nothing is downloaded
    return cfg


def datasets_of(cfg) -> list:
    """The data sets in a loader's ``dataset``, or in several loaders."""
    if isinstance(cfg, list):
        return [dataset for loader in cfg for dataset in datasets_of(loader.dataset)]
    if 'datasets' in cfg:
        return [inner for one in cfg.datasets for inner in datasets_of(one)]
    return datasets_of(cfg.dataset) if 'dataset' in cfg else [cfg]


@pytest.fixture
def stand_in(tmp_path):
    """Writes a small clip where a data set's config expects one."""

    def write(dataset: dict, seed: int, size: int) -> None:
        root = tmp_path / dataset.data_root
        name = root.name
        count = 7 if name == 'vimeo90k' else dataset.get('num_input_frames') or 8
        gt = moving_clip(count, height=size, width=size * 3 // 2, seed=seed)
        clip = f'{seed:03d}/0001' if name == 'vimeo90k' else f'{seed:03d}'
        sides = dict(gt=gt)
        if 'img' in dataset.data_prefix:
            sides['img'] = degrade(gt, dataset.scale)
        for kind, frames in sides.items():
            folder = root / dataset.data_prefix[kind]
            if name == 'MFQEv2':
                save_yuv(folder / f'{clip}_{size * 3 // 2}x{size}_{count}.yuv', frames)
            else:
                write_frames(folder / clip, frames)
        if dataset.get('ann_file'):
            shape = (size, size * 3 // 2, 3)
            lines = dict(
                REDS=[f'{clip}/{i:08d}.png {shape}' for i in range(count)],
                Vid4=[f'{clip} {count}'],
                vimeo90k=[f'{clip} {shape}'],
            )
            (root / dataset.ann_file).write_text('\n'.join(lines[name]))

    return write


def save_yuv(path: Path, frames: np.ndarray) -> None:
    """Write RGB frames as raw YUV 4:2:0."""
    path.parent.mkdir(parents=True, exist_ok=True)
    planes = [cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420) for frame in frames]
    path.write_bytes(np.stack(planes).tobytes())


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
    schedule = dict(as_list(cfg.param_scheduler)[-1], end=cfg.train_cfg.max_iters)
    scheduler = PARAM_SCHEDULERS.build(schedule, default_args=dict(optimizer=wrapper))
    assert schedule.get('begin', 0) + scheduler.T_max == cfg.train_cfg.max_iters


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('s2svr_reds', dict(width=64, scale=4, frames=15, lr=1e-4, iters=600_000, fix=10_000)),
        (
            's2svr_vimeo90k_bi',
            dict(width=64, scale=4, frames=7, lr=1e-4, iters=300_000, fix=10_000),
        ),
        ('s2svr_gopro', dict(width=48, scale=1, frames=7, lr=2e-4, iters=200_000, fix=5_000)),
    ],
)
def test_settings_of_the_paper(name, expected):
    cfg = load(name)
    found = dict(
        width=cfg.model.generator.mid_channels,
        scale=cfg.model.generator.scale,
        frames=cfg.train_dataloader.dataset.get('num_input_frames', 7),
        lr=cfg.optim_wrapper.optimizer.lr,
        iters=cfg.train_cfg.max_iters,
        fix=cfg.model.train_cfg.fix_iter,
    )
    assert found == expected
    assert cfg.model.generator.num_blocks == 13
    assert cfg.model.generator.num_layers == 3
    assert cfg.optim_wrapper.paramwise_cfg.custom_keys.flow_estimator.lr_mult == 0.25


@pytest.mark.parametrize(
    'pair',
    [
        ('s2svr_demo', 'basicvsr_demo'),
        *(
            (f's2svr_s_{task}', f'basicvsr_s_{task}')
            for task in ('x4', 'compress', 'deblur', 'x2_video')
        ),
        *(('s2svr_reds', f'{name}_reds') for name in ('basicvsr', 'iconvsr')),
        *(
            (f's2svr_vimeo90k_{kind}', f'{name}_vimeo90k_{kind}')
            for name in ('basicvsr', 'iconvsr', 'basicvsr_pp')
            for kind in ('bi', 'bd')
        ),
    ],
)
def test_baselines_see_the_same_data(pair):
    ours, baseline = map(load, pair)
    for part in ('train_dataloader', 'val_dataloader', 'test_dataloader', 'test_evaluator'):
        assert ours[part] == baseline[part]


def loaders_of(cfg: Config, *parts: str) -> list[dict]:
    found = [cfg[f'{part}_dataloader'] for part in parts]
    return [loader for one in found for loader in (one if isinstance(one, list) else [one])]


def size_for(cfg: Config) -> int:
    """Patches and heights of ground truth: BasicVSR++ takes no less than 64 pixels at its input."""
    return 256 if cfg.model.generator.type == 'BasicVSRPlusPlusNet' else 64


def scale_of(cfg: Config) -> int:
    generator = cfg.model.generator
    return generator.get(
        'scale', {'BasicVSRSameSizeNet': 1, 'BasicVSRX2Net': 2}.get(generator.type, 4)
    )


def margin_of(dataset: dict) -> int:
    """Pixels that frames lose at each side to drift."""
    moving = [t for t in dataset.pipeline if t['type'] == 'AddMotion']
    frames = dataset.get('num_input_frames', 7)
    return sum(math.ceil(t.get('max_motion', 3.0) * (frames - 1) / 2) for t in moving)


def shrink(cfg: Config) -> None:
    """Patches, batches and networks that fit the stand-ins."""
    # BasicVSR++ has 16 groups of deformable convolution, IconVSR an EDVR of 64 channels.
    least = dict(BasicVSRPlusPlusNet=16, IconVSRNet=64)
    width = least.get(cfg.model.generator.type, 4)
    cfg.model.generator.update(mid_channels=width, num_blocks=1)
    cfg.load_from = None
    # Two iterations end before a schedule that begins at iteration 100.
    schedulers = cfg.get('param_scheduler', [])
    for scheduler in [schedulers] if isinstance(schedulers, dict) else schedulers:
        scheduler.pop('begin', None)
    for part in ('train', 'val', 'test'):
        if f'{part}_dataloader' in cfg:
            for loader in loaders_of(cfg, part):
                loader.update(batch_size=1, num_workers=0, persistent_workers=False)
    if 'train_dataloader' in cfg:
        for dataset in datasets_of(cfg.train_dataloader.dataset):
            crop = next(t for t in dataset.pipeline if 'Crop' in t['type'])
            if crop['type'] == 'FixedCrop':
                size = size_for(cfg) + 2 * margin_of(dataset)
                crop.crop_size = (size, size)
            else:
                crop.gt_patch_size = size_for(cfg)


def write_stand_ins(cfg: Config, stand_in, *parts: str) -> None:
    """A clip for each data set; ``parts`` lists 'train' first where it is meant."""
    for seed, part in enumerate(parts):
        for loader in loaders_of(cfg, part):
            for dataset in datasets_of(loader.dataset):
                stand_in(dataset, seed, size_for(cfg) + 2 * margin_of(dataset))


@pytest.mark.parametrize(
    'name', [*TRAINED, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]
)
def test_trains_and_validates(name, stand_in, run_tool, tmp_path):
    cfg = load(name)
    if 'basicvsr_pp' in name:
        cfg.train_dataloader.dataset.num_input_frames = 3  # more take minutes at its size
    write_stand_ins(cfg, stand_in, 'train', 'val')
    shrink(cfg)
    if name == 's2svr_deblur_compress':
        # The flow of s2svr_reds, and of the slow ones, is that of their configs.
        cfg.model.generator.flow_estimator = dict(type='TinyFlow')
        cfg.custom_imports.imports.append('helpers.tiny_flow')
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.default_hooks.logger.interval = 1
    cfg.dump(tmp_path / f'{name}.py')
    result = run_tool('train', f'{name}.py', '--work-dir', 'out')
    assert result.status == 0, result.output
    assert 'Iter(train) [2/2]' in result.output
    assert 'PSNR: ' in result.output
    for best in as_list(cfg.default_hooks.checkpoint.save_best):
        assert list((tmp_path / 'out').glob(f'best_{best.replace("/", "_")}_iter_2.pth'))


def as_list(value) -> list:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize(
    'name',
    [
        # They need large frames, and have the data of the others.
        pytest.param(name, marks=[pytest.mark.slow] if 'basicvsr_pp' in name else [])
        for name in RESTORATION
    ],
)
def test_loads_samples(name, stand_in, tmp_path, monkeypatch):
    cfg = load(name)
    write_stand_ins(cfg, stand_in, 'train', 'test')
    shrink(cfg)
    monkeypatch.chdir(tmp_path)
    lost, lost_in_test = BLURRED.get(name, (0, 0))
    training = DATASETS.build(cfg.train_dataloader.dataset)
    for i in range(len(training)):
        sample = training[i]
        inputs, gt = sample['inputs'], sample['data_samples'].gt_img
        frames = datasets_of(cfg.train_dataloader.dataset)[0].get('num_input_frames', 7)
        mirrored = 2 if 'vimeo90k' in name else 1
        assert len(inputs) == len(gt)
        longest = frames * mirrored - lost
        assert len(inputs) in {(longest - 1) // stride + 1 for stride in strides_of(cfg)}
        assert tuple(gt.shape[-2:]) == (size_for(cfg), size_for(cfg))
        assert inputs.shape[-1] * scale_of(cfg) == size_for(cfg)
    for loader in loaders_of(cfg, 'test'):
        sample = DATASETS.build(loader.dataset)[0]
        length = loader.dataset.get('num_input_frames', 8) - lost_in_test
        assert len(sample['inputs']) == len(sample['data_samples'].gt_img) == length


def strides_of(cfg) -> list[int]:
    """How far apart blurred frames of a clip to train on may be."""
    pipeline = datasets_of(cfg.train_dataloader.dataset)[0].get('pipeline', [])
    strides = [step.get('stride', 1) for step in pipeline if step['type'] == 'AverageMotionBlur']
    return strides[0] if strides and isinstance(strides[0], list) else strides or [1]


@pytest.mark.parametrize('name', BENCHMARKS)
def test_benchmarks_have_one_protocol_each(name):
    cfg = load(name)
    names = [loader.dataset.data_root for loader in cfg.test_dataloader]
    assert names == ['data/REDS', 'data/vimeo90k', 'data/Vid4', 'data/UDM10']
    found = [
        (m.prefix, m.num_clips, m.num_frames, [one.get('convert_to') for one in m.metrics])
        for m in (evaluator.metrics for evaluator in cfg.test_evaluator)
    ]
    assert found == [
        ('REDS4', 4, 400, [None, None]),
        ('Vimeo-90K-T', 7824, 7824, ['Y', 'Y']),
        ('Vid4', 4, 171, ['Y', 'Y']),
        ('UDM10', 10, 320, ['Y', 'Y']),
    ]
    with torch.device('meta'):
        MODELS.build(cfg.model)


@pytest.mark.parametrize(
    'name', ['s2svr_benchmarks', pytest.param('basicvsr_benchmarks', marks=pytest.mark.slow)]
)
def test_benchmarks_are_measured(name, stand_in, run_tool, tmp_path):
    cfg = load(name)
    write_stand_ins(cfg, stand_in, 'test')
    shrink(cfg)
    cfg.dump(tmp_path / f'{name}.py')
    model = MODELS.build(cfg.model)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'checkpoint.pth')
    result = run_tool('test', f'{name}.py', 'checkpoint.pth', '--out', 'out.json')
    assert result.status == 0, result.output
    measured = json.loads((tmp_path / 'out.json').read_text())
    prefixes = ('REDS4', 'Vimeo-90K-T', 'Vid4', 'UDM10')
    metrics = ('PSNR', 'SSIM')
    assert {name for name in measured if not name.endswith('/clips')} == {
        f'{prefix}/{metric}' for prefix in prefixes for metric in metrics
    }
    assert np.isfinite([v for name, v in measured.items() if not name.endswith('/clips')]).all()
    # One clip each: its figures are the average. Those of 7824 septuplets are not listed.
    assert [name for name in measured if name.endswith('/clips')] == [
        f'{prefix}/clips' for prefix in prefixes if prefix != 'Vimeo-90K-T'
    ]
    assert measured['Vid4/clips'] == {
        '000': dict(frames=8, **{metric: measured[f'Vid4/{metric}'] for metric in metrics})
    }
    # The centre frame alone is measured of a septuplet, and one clip is too few for any of them.
    assert 'Vimeo-90K-T: 1 clips with 1 frames were measured' in result.output
    assert result.output.count('not comparable with published ones') == 4


@pytest.mark.parametrize('name', ['s2svr_reds', 's2svr_gopro', 's2svr_clips', 's2svr_mfqev2_qp22'])
def test_missing_data_says_which_folder_and_command(name, run_tool):
    result = run_tool('train', CONFIGS / f'{name}.py')
    assert result.status == 1
    assert load(name).train_dataloader.dataset.data_root in result.output
    assert f's2svr prepare-data {name.split("_")[1]}' in result.output
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
