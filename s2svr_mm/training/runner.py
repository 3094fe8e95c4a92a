# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""From a config to a training or a test."""

from logging import WARNING
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ..checkpoints.files import latest_checkpoint
from ..engine import SaveFramesHook, SaveMetricsHook
from ..errors import ConfigError, did_you_mean
from ..utils.building import config_errors
from ..utils.config import without_pretrained
from ..utils.devices import computes_bfloat16
from ..utils.manifest import check_made


def enable_amp(cfg: Config) -> None:
    """Train in mixed precision: bfloat16, or float16 with a loss scale on GPUs without it.

    Args:
        cfg: The config, changed in place. A warning says so where mixed precision is slower.

    Raises:
        ConfigError: If the config has an optimizer wrapper of a kind of its own.
    """
    kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if kind in ('AmpOptimWrapper', 'BF16OptimWrapper'):
        return
    if kind != 'OptimWrapper':
        raise ConfigError(f"--amp needs optim_wrapper.type='OptimWrapper', got {kind!r}")
    if torch.cuda.is_available() and not torch.cuda.is_bf16_supported(including_emulation=False):
        cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    else:
        cfg.optim_wrapper.type = 'BF16OptimWrapper'
        if not torch.cuda.is_available() and not computes_bfloat16(torch.device('cpu')):
            print_log(
                '--amp: this processor has no bfloat16 instructions, so bfloat16 is several times '
                'slower here than float32: train without --amp',
                'current',
                WARNING,
            )


def enable_auto_scale_lr(cfg: Config) -> None:
    """Scale the learning rate with the real batch size.

    Args:
        cfg: The config, changed in place.

    Raises:
        ConfigError: If it does not say which batch size its learning rate is meant for.
    """
    if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
        raise ConfigError(
            '--auto-scale-lr needs the batch size that the learning rate is meant for: add '
            'auto_scale_lr=dict(base_batch_size=...) to the config'
        )
    cfg.auto_scale_lr.enable = True


def resume_from_latest(cfg: Config) -> Path | None:
    """Continue from the last whole checkpoint in the work dir.

    Args:
        cfg: The config, changed in place. Without a checkpoint it stays as it is, so that training
            starts from the beginning.

    Returns:
        The checkpoint, or None if there is none yet.

    Raises:
        CheckpointError: If there are checkpoints and none of them is whole.
    """
    checkpoint = latest_checkpoint(cfg.work_dir)
    if checkpoint is not None:
        cfg.load_from = str(checkpoint)
        cfg.resume = True
    return checkpoint


def build_runner(cfg: Config) -> Runner:
    """Build mmengine's runner, for processes on CPUs too.

    Args:
        cfg: The config.

    Returns:
        The runner.

    Raises:
        ConfigError: If several processes are asked for without a GPU by another launcher than
            'pytorch', or a learning rate is set for parameters that the model has not.
    """
    hooks = cfg.setdefault('default_hooks', {})
    hooks.setdefault('strict_load', dict(type='StrictLoadHook'))
    hooks.setdefault('resume_schedule', dict(type='ResumeScheduleHook'))
    if cfg.launcher != 'none' and not torch.cuda.is_available():
        _use_cpus(cfg)
    with config_errors(cfg, cfg.filename):
        runner = RUNNERS.build(cfg)
    _check_custom_keys(cfg, [name for name, _ in runner.model.named_parameters()])
    return runner


def _check_custom_keys(cfg: Config, parameters: list[str]) -> None:
    """Refuse what would silently train by the common rate; mmengine looks for parts of names."""
    paramwise = (cfg.get('optim_wrapper') or {}).get('paramwise_cfg') or {}
    for key in paramwise.get('custom_keys', ()):
        if not any(key in name for name in parameters):
            parts = {part for name in parameters for part in name.split('.')}
            raise ConfigError(
                f'optim_wrapper.paramwise_cfg.custom_keys.{key}: no parameter of the model has '
                f'that in its name.{did_you_mean(key, sorted(parts))}'
            )


def _use_cpus(cfg: Config) -> None:
    """Start the processes' group and wrap the model; by itself mmengine takes a GPU for each."""
    if cfg.launcher != 'pytorch':
        raise ConfigError(f"--launcher {cfg.launcher} needs GPUs; on CPUs use 'pytorch'")
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')
    wrapper = dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    cfg.model_wrapper_cfg = {**wrapper, **cfg.get('model_wrapper_cfg', {}), 'device_ids': None}


def run_training(
    cfg: Config, resume: bool = False, amp: bool = False, auto_scale_lr: bool = False
) -> None:
    """Train as the config says; logs and checkpoints go to its work dir.

    Args:
        cfg: The config, changed in place.
        resume: Whether to continue from the last whole checkpoint in the work dir, if there is
            one. Defaults to False.
        amp: Whether to train in mixed precision (:func:`enable_amp`). Defaults to False.
        auto_scale_lr: Whether to scale the learning rate (:func:`enable_auto_scale_lr`). Defaults
            to False.

    Raises:
        ConfigError: If the config can't be used in that way.
        CheckpointError: If a checkpoint can't be read, or does not fit.
    """
    if amp:
        enable_amp(cfg)
    if auto_scale_lr:
        enable_auto_scale_lr(cfg)
    if resume and resume_from_latest(cfg) is None:
        print(f'No checkpoint in {cfg.work_dir} yet: training starts at iteration 0.')
    runner = build_runner(cfg)
    with config_errors(cfg, cfg.filename):
        runner.train()
    runner.logger.info(f'Logs and checkpoints are in {runner.work_dir}')


def run_test(
    cfg: Config,
    checkpoint: str,
    out: str | None = None,
    save_dir: str | None = None,
) -> None:
    """Test a checkpoint as the config says; the metrics go to the log.

    Args:
        cfg: The config.
        checkpoint: The checkpoint; all of the model's weights must be in it.
        out: JSON file that the metrics are written to.
        save_dir: Folder that the restored frames are written to, one folder a clip.

    Raises:
        ConfigError: If the config has no test set, or ``out`` is not a JSON file.
        CheckpointError: If the checkpoint can't be read, or belongs to another model.
        OutputError: If ``out`` exists and was not made here.
    """
    if cfg.get('test_dataloader') is None:
        raise ConfigError(f'{cfg.filename} has no test_dataloader: there is nothing to test on')
    if out and Path(out).suffix != '.json':
        raise ConfigError(f'--out writes JSON, so its name ends in .json; got {out}')
    if out:
        check_made(Path(out).parent, [Path(out).name])
    cfg.load_from = checkpoint
    cfg.resume = False
    cfg.model = without_pretrained(cfg.model)
    runner = build_runner(cfg)
    if save_dir:
        runner.register_hook(SaveFramesHook(save_dir))
    if out:
        runner.register_hook(SaveMetricsHook(out))
    with config_errors(cfg, cfg.filename):
        runner.test()
