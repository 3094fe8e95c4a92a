# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What mmengine's runner needs beside models: the training loop, hooks, mixed precision."""

from .bf16_optim_wrapper import BF16OptimWrapper
from .checkpoint_hook import SafeCheckpointHook, StrictLoadHook
from .non_finite import StopAtNonFiniteHook
from .resume_schedule import ResumeScheduleHook
from .save_results import SaveFramesHook, SaveMetricsHook
from .train_loop import ResumableTrainLoop

__all__ = [
    'BF16OptimWrapper',
    'ResumableTrainLoop',
    'ResumeScheduleHook',
    'SafeCheckpointHook',
    'SaveFramesHook',
    'SaveMetricsHook',
    'StopAtNonFiniteHook',
    'StrictLoadHook',
]
