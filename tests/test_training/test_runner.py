# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest
import torch
from mmengine.config import Config

from s2svr_mm.errors import ConfigError
from s2svr_mm.training import runner
from s2svr_mm.training.config import load_config
from s2svr_mm.training.runner import (
    build_runner,
    enable_amp,
    enable_auto_scale_lr,
    resume_from_latest,
)
from s2svr_mm.utils.config import without_pretrained


@pytest.fixture
def write_config(tmp_path):
    def write(text, name='config.py'):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def test_work_dir_of_the_command_comes_first(write_config):
    plain, own = write_config('a = 1'), write_config("work_dir = 'own'", 'own.py')
    assert load_config(plain).work_dir == 'work_dirs/config'
    assert load_config(own).work_dir == 'own'
    assert load_config(own, work_dir='given', launcher='pytorch').work_dir == 'given'
    assert load_config(own, launcher='pytorch').launcher == 'pytorch'


def test_options(write_config):
    path = write_config('model = dict(depth=1)')
    options = {'model.depth': 2, 'model.width': 3, 'randomness.seed': 4, 'sync_bn': 'torch'}
    cfg = load_config(path, options)
    assert cfg.model == dict(depth=2, width=3)
    assert cfg.randomness.seed == 4
    with pytest.raises(ConfigError, match=r"the config has no 'modle'\. Did you mean model"):
        load_config(path, {'modle.depth': 2})


@pytest.mark.parametrize(
    'text', ['model = dict(', "_base_ = 'missing.py'", 'a = b', "a = '{{ fileDirname'\nb = a.c"]
)
def test_broken_config_is_named(write_config, text):
    path = write_config(text)
    with pytest.raises(ConfigError, match=r'config\.py cannot be read: \w+: '):
        load_config(path)


def test_enable_amp(monkeypatch):
    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper')))
    enable_amp(cfg)
    assert cfg.optim_wrapper.type == 'BF16OptimWrapper'
    enable_amp(cfg)
    assert cfg.optim_wrapper.type == 'BF16OptimWrapper'
    with pytest.raises(ConfigError, match="got 'Own'"):
        enable_amp(Config(dict(optim_wrapper=dict(type='Own'))))

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda **_: False)
    old_gpu = Config(dict(optim_wrapper=dict(type='OptimWrapper')))
    enable_amp(old_gpu)
    assert old_gpu.optim_wrapper == dict(type='AmpOptimWrapper', loss_scale='dynamic')


@pytest.mark.parametrize('supported', [True, False])
def test_amp_on_a_processor_without_bfloat16(supported, monkeypatch):
    said = []
    monkeypatch.setattr(runner, 'print_log', lambda text, *_: said.append(text))
    monkeypatch.setattr(runner, 'computes_bfloat16', lambda device: supported)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    enable_amp(Config(dict(optim_wrapper=dict(type='OptimWrapper'))))
    assert [('no bfloat16 instructions' in text) for text in said] == [True] * (not supported)


def test_enable_auto_scale_lr():
    cfg = Config(dict(auto_scale_lr=dict(base_batch_size=8)))
    enable_auto_scale_lr(cfg)
    assert cfg.auto_scale_lr.enable
    with pytest.raises(ConfigError, match='base_batch_size'):
        enable_auto_scale_lr(Config(dict(a=1)))


def test_resume_without_checkpoint_keeps_what_to_start_from(tmp_path):
    cfg = Config(dict(work_dir=str(tmp_path), load_from='pretrained.pth', resume=False))
    assert resume_from_latest(cfg) is None
    assert (cfg.load_from, cfg.resume) == ('pretrained.pth', False)
    torch.save({}, tmp_path / 'iter_3.pth')
    assert resume_from_latest(cfg) == tmp_path / 'iter_3.pth'
    assert (cfg.load_from, cfg.resume) == (str(tmp_path / 'iter_3.pth'), True)


@pytest.mark.skipif(torch.cuda.is_available(), reason='about machines without a GPU')
def test_other_launchers_need_gpus():
    with pytest.raises(ConfigError, match="--launcher slurm needs GPUs; on CPUs use 'pytorch'"):
        build_runner(Config(dict(launcher='slurm')))


def test_a_checkpoint_spares_downloads():
    config = Config(
        dict(model=dict(generator=dict(type='A', spynet_pretrained='https://host/file', depth=1)))
    ).model
    assert without_pretrained(config) == dict(
        generator=dict(type='A', spynet_pretrained=None, depth=1)
    )
    assert config.generator.spynet_pretrained == 'https://host/file'
