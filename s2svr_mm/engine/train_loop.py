# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""A training loop that continues exactly where a checkpoint ends."""

import copy
import itertools
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from mmagic.registry import DATASETS, LOOPS
from mmengine.dataset import BaseDataset, InfiniteSampler
from mmengine.dist import get_rank
from mmengine.runner import IterBasedTrainLoop, Runner
from torch.utils.data import DataLoader, Dataset

from ..errors import ConfigError, DataError

_SAMPLE, _ITERATION = 0, 1


def seed_from(*key: int) -> None:
    """Seed Python's, NumPy's and torch's global generators from a few numbers.

    Args:
        key: Non-negative numbers. Different keys give unrelated states.
    """
    words = np.random.SeedSequence(key).generate_state(4)
    random.seed(words.tobytes())
    np.random.seed(words)
    torch.manual_seed(int(words[:2].view(np.uint64)[0]))


class ResumableSampler(InfiniteSampler):
    """mmengine's endless sampler, able to start anywhere.

    Each item is ``(index, position, seed)``: the sample's index, its place in the endless order
    and the seed of that order, for :class:`SeededDataset`.

    Args:
        *args: As for :class:`mmengine.dataset.InfiniteSampler`.
        **kwargs: As for :class:`mmengine.dataset.InfiniteSampler`.

    Attributes:
        start: Number of samples on each rank that are passed over.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.size == 0:
            raise DataError('the training data set is empty: nothing to draw samples from')
        self.start = 0

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        first = self.rank + self.start * self.world_size
        order = enumerate(self._infinite_indices())
        for position, index in itertools.islice(order, first, None, self.world_size):
            yield index, position, self.seed


class SeededDataset(Dataset):
    """Make a sample depend on its place in the order alone, not on the worker that loads it.

    Args:
        dataset: The data set, or its config.
    """

    def __init__(self, dataset: BaseDataset | dict) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset

    @property
    def metainfo(self) -> dict:
        """The data set's own ``metainfo``."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Let the data set read its list of samples, if it puts that off."""
        if hasattr(self.dataset, 'full_init'):
            self.dataset.full_init()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, item: tuple[int, int, int]) -> Any:
        """Load one sample.

        Args:
            item: ``(index, position, seed)`` from :class:`ResumableSampler`.

        Returns:
            The sample ``index``, with random transforms that ``(seed, position)`` determine.
        """
        index, position, seed = item
        seed_from(seed, _SAMPLE, position)
        return self.dataset[index]


@LOOPS.register_module()
class ResumableTrainLoop(IterBasedTrainLoop):
    """mmengine's IterBasedTrainLoop, resuming at once and to the same result.

    mmengine's own loop loads and throws away all data up to the resumed iteration, and random
    transforms then still differ where they share a generator with the model. Here nothing random
    is carried from one iteration to the next: data order and transforms follow from the seed and
    the sample's position, what the model draws follows from the seed, the rank and the iteration.
    A run that was interrupted and resumed therefore equals one that was not, whatever the number
    of workers; on a CPU, bit for bit.

    Args:
        runner: The runner.
        dataloader: Config of the data loader, with
            ``sampler=dict(type='InfiniteSampler', shuffle=...)``.
        **kwargs: ``max_iters``, ``val_begin``, ``val_interval`` and ``dynamic_intervals`` as for
            :class:`mmengine.runner.IterBasedTrainLoop`.

    Raises:
        ConfigError: If ``dataloader`` is not a config, or its sampler is another one.
    """

    def __init__(self, runner: Runner, dataloader: dict, **kwargs: Any) -> None:
        super().__init__(runner, self._make_resumable(dataloader), **kwargs)

    @staticmethod
    def _make_resumable(dataloader: dict) -> dict:
        if isinstance(dataloader, DataLoader) or 'batch_sampler' in dataloader:
            raise ConfigError('ResumableTrainLoop needs the config of a plain data loader')
        sampler = dataloader.get('sampler', {})
        if sampler.get('type') != 'InfiniteSampler':
            raise ConfigError(
                "ResumableTrainLoop needs train_dataloader.sampler.type='InfiniteSampler', got "
                f"{sampler.get('type')!r}. (mmengine's IterBasedTrainLoop takes any sampler, but "
                'does not resume exactly.)'
            )
        dataloader = copy.deepcopy(dataloader)
        dataloader['sampler'] = {**sampler, 'type': ResumableSampler}
        dataloader['dataset'] = dict(type=SeededDataset, dataset=dataloader['dataset'])
        return dataloader

    def run(self) -> torch.nn.Module:
        """Train to ``max_iters``, from the iteration that was resumed if any.

        Returns:
            The trained model.
        """
        if self._iter > 0:
            sampler = self.dataloader.sampler
            sampler.seed = self.runner.seed  # the checkpoint's, where the config names none
            sampler.start = self._iter * self.dataloader.batch_size
            # The base class draws and drops one batch for each iteration already done: give it
            # as many empty ones.
            self.dataloader_iterator = itertools.chain(
                itertools.repeat(None, self._iter), iter(self.dataloader)
            )
        if self._iter >= self._max_iters:
            self.runner.logger.info(
                f'{self._iter} of {self._max_iters} iterations are done already: nothing to train'
            )
        try:
            return super().run()
        finally:
            # Runner and loop refer to each other, so the iterator would be left to the garbage
            # collector, which closes the workers' queues first; torch then waits 5 s for each.
            self.dataloader_iterator = itertools.chain()
            self.dataloader._iterator = None

    def run_iter(self, data_batch: dict) -> None:
        """Run one iteration.

        Args:
            data_batch: A batch from the data loader.
        """
        seed_from(self.runner.seed, _ITERATION, get_rank(), self._iter)
        super().run_iter(data_batch)
