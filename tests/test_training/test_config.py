# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import contextlib
import re
from pathlib import Path

import pytest
from mmengine.config import Config

from s2svr_mm.errors import ConfigError
from s2svr_mm.training.config import check_options, load_config

ROOT = Path(__file__).parents[2]
CUSTOM_KEYS = 'optim_wrapper.paramwise_cfg.custom_keys'
# One of each kind that the README and the cards give.
USED = {
    'load_from': 's2svr://s2svr_s_x4',
    'randomness.seed': 3,
    'randomness.deterministic': True,
    'env_cfg.mp_cfg.mp_start_method': 'spawn',
    'sync_bn': 'torch',
    'train_cfg.val_begin': 5,
    'train_dataloader.batch_size': 2,
    'train_dataloader.pin_memory': True,
    'train_dataloader.dataset.pipeline.1.crop_size': (96, 96),
    'train_dataloader.dataset.pipeline.1.crop_pos': (0, 0),
    'optim_wrapper.accumulative_counts': 2,
    'optim_wrapper.optimizer.amsgrad': True,
    f'{CUSTOM_KEYS}.flow_estimator.lr_mult': 0.2,
    f'{CUSTOM_KEYS}.details.lr_mult': 0.2,
    'param_scheduler.0.end': 100,
    'model.generator.with_cp': True,
    'model.generator.detail_branch.num_blocks': 4,
    'model.pixel_loss.loss_weight': 30,
    'model.train_cfg.fix_iter': 0,
    'custom_hooks.0.momentum': 0.01,
    'default_hooks.checkpoint.max_keep_ckpts': 3,
    'default_hooks.profiler.type': 'ProfilerHook',
    'default_hooks.profiler.interval': 3,
}


@pytest.fixture(scope='module')
def config():
    return Config.fromfile(ROOT / 'configs/s2svr_s_x4.py')


def test_what_a_constructor_or_mmengine_takes_is_let_through(config):
    check_options(config, USED)
    flow = {'model.generator.flow_estimator.init_cfg.checkpoint': 'flow.pth'}
    check_options(Config.fromfile(ROOT / 'configs/s2svr_s_compress.py'), flow)


def test_each_option_of_the_documents_is_let_through_for_some_config():
    pages = [ROOT / 's2svr_mm/weights/README.md', *(ROOT / 'docs').glob('*.md')]
    texts = [page.read_text() for page in pages]
    keys = set(re.findall(r'(?<![\w.])((?:\w+\.)+\w+|load_from)=', '\n'.join(texts)))
    assert len(keys) > 30
    for path in (p for p in (ROOT / 'configs').rglob('*.py') if '_base_' not in p.parts):
        config = Config.fromfile(path)
        for key in list(keys):
            with contextlib.suppress(ConfigError):
                check_options(config, {key: 1})
                keys.remove(key)
    assert not keys


@pytest.mark.parametrize('document', ['docs/train.md', 'configs/s2svr_clips.py'])
def test_pairs_of_one_size_as_the_documents_have_them(document):
    text = (ROOT / document).read_text().partition('airs of one size')[2]
    options = dict.fromkeys(re.findall(r'([\w.]+\.scale)=1', text), 1)
    cfg = load_config(str(ROOT / 'configs/s2svr_clips.py'), options)
    loaders = [cfg[f'{name}_dataloader'].dataset for name in ('train', 'val', 'test')]
    assert [part.scale for part in (cfg.model.generator, *loaders)] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ('key', 'message'),
    [
        ('modle.type', "the config has no 'modle'. Did you mean model?"),
        ('train_cfg.max_iter', "train_cfg has no 'max_iter'. Did you mean max_iters?"),
        ('randomness.sede', "randomness has no 'sede'. Did you mean seed?"),
        ('env_cfg.cudnn', "env_cfg has no 'cudnn'. It knows: cudnn_benchmark, dist_cfg"),
        ('default_hooks.chekpoint.interval', "no 'chekpoint'. Did you mean checkpoint?"),
        ('default_hooks.checkpoint.intervall', "no 'intervall'. Did you mean interval?"),
        ('train_dataloader.batchsize', "no 'batchsize'. Did you mean batch_size"),
        ('train_dataloader.dataset.scal', "dataset has no 'scal'. Did you mean scale?"),
        ('train_dataloader.dataset.pipeline.9.crop_size', 'pipeline is a list of 8, and '),
        ('train_dataloader.dataset.pipeline.1.gt_patch_size', 'It knows: crop_pos, crop_size'),
        ('optim_wrapper.optimizer.learning_rate', "has no 'learning_rate'. It knows: amsgrad"),
        (f'{CUSTOM_KEYS}.flow_estimatr.lr_mult', "'flow_estimatr'. Did you mean flow_estimator?"),
        ('model.generator.midchannels', "has no 'midchannels'. Did you mean mid_channels?"),
        ('model.generator.scale.x', 'model.generator.scale is 4, so nothing can be set in it'),
        ('custom_hooks.0.momentun', "custom_hooks.0 has no 'momentun'. Did you mean momentum?"),
        ('custom_hooks.first.momentum', "'first' none of its entries: 0 EMAHook"),
    ],
)
def test_wrong_keys_are_named(config, key, message):
    if key.startswith(CUSTOM_KEYS):
        config = load_config(str(ROOT / 'configs/s2svr_reds.py'))
    with pytest.raises(ConfigError) as caught:
        check_options(config, {key: 1, 'model.generator.num_blocks': 3})
    assert message in str(caught.value)
    assert f'--cfg-options {key}: ' in str(caught.value)


def test_a_type_elsewhere_makes_no_hook(config):
    options = {'default_hooks.chekpoint.interval': 5, 'model.chekpoint.type': 'A'}
    with pytest.raises(ConfigError, match='Did you mean checkpoint'):
        check_options(config, options)


def test_a_type_given_beside_is_the_one_asked(config):
    key = 'optim_wrapper.optimizer.momentum'
    check_options(config, {'optim_wrapper.optimizer.type': 'SGD', key: 0.9})
    with pytest.raises(ConfigError, match="optimizer has no 'momentum'"):
        check_options(config, {key: 0.9})
