# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Validation and testing in bounded memory: long clips in windows, measured as they come."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmagic.engine.runner import MultiTestLoop, MultiValLoop
from mmagic.registry import LOOPS
from mmagic.structures import DataSample
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner.amp import autocast
from torch import nn
from torch.utils.data import DataLoader

from ..datasets.video_clip_dataset import WINDOWED, VideoClipDataset
from ..errors import NotEnoughMemoryError
from ..evaluation.merging import merge_windows
from ..models.input_requirements import requirements_of
from ..restoration.planning import USABLE, Settings, choose_plan, windows_of
from ..restoration.predictor import Predictor
from ..restoration.threads import Prefetcher
from ..restoration.windows import RestoredWindow, TilingPlan, join_windows
from ..utils.memory import available_memory

# Clips of up to so many frames are restored whole if memory allows: REDS4, GoPro and Vid4 are.
WHOLE_FRAMES = 160
# Bytes of a sample of a frame: the input, the ground truth and the result in float32, and copies.
_SAMPLE_BYTES = 8


class WindowedLoop:
    """What validation and testing in windows share; goes before one of mmagic's loops.

    A clip of a :class:`VideoClipDataset` that is to be restored in windows is never loaded as a
    whole. Windows are those of :class:`VideoRestorer`, joined in the same way; the model restores
    them as it does whole clips (``val_step``, ``test_step``). Metrics and hooks get a clip
    window by window, and a metric's figure of a clip is the mean over its
    frames. Clips of other data sets are taken whole, and so are those whose pipeline has a
    transform that does not work frame by frame (``CompressVideo``, ``AverageMotionBlur``).

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader | dict | list): As mmagic's loops take it.
        evaluator (Evaluator | dict | list): As mmagic's loops take it.
        fp16 (bool): Whether to run the model in mixed precision. Defaults to False.
        window (int, optional): Frames that the model sees at once; 0 for whole clips, as published
            protocols have them. Defaults to None: whole clips of up to 160 frames where these fit
            in memory, windows of up to 60 frames otherwise.
        overlap (int, optional): Frames that neighbouring windows share. Defaults to None, 16 or
            two thirds of the window.
        memory_limit (int, optional): Bytes that may be used. Defaults to None, most of what is
            free.

    Raises:
        ConfigError: The window or the overlap is not possible.
    """

    stage: str

    def __init__(
        self,
        runner: Any,
        dataloader: Any,
        evaluator: Any,
        fp16: bool = False,
        window: int | None = None,
        overlap: int | None = None,
        memory_limit: int | None = None,
    ) -> None:
        self._settings = None
        if window != 0:
            self._settings = Settings('float32', window, overlap, 0, memory_limit=memory_limit)
        self._plans: dict[int, dict[int, TilingPlan]] = {}
        super().__init__(runner, dataloader, evaluator, fp16)  # type: ignore[call-arg]

    def run(self) -> Any:
        """Choose which clips are restored in windows, and measure all."""
        model: Any = self._runner.model  # type: ignore[attr-defined]
        module = model.module if is_model_wrapper(model) else model
        for loader in self.dataloaders:  # type: ignore[attr-defined]
            if id(loader) not in self._plans:
                self._plans[id(loader)] = self._choose(module, loader)
        return super().run()  # type: ignore[misc]

    def _choose(self, model: nn.Module, loader: DataLoader) -> dict[int, TilingPlan]:
        """Plans for the clips of a data set that are to be restored in windows, by their number."""
        dataset = loader.dataset
        network = getattr(model, 'generator', None)
        if (
            self._settings is None
            or network is None
            or loader.batch_size != 1
            or not isinstance(dataset, VideoClipDataset)
            or not dataset.has_windows()
        ):
            return {}
        plans: dict[int, TilingPlan] = {}
        sizes: dict[tuple[int, tuple[int, int]], TilingPlan | None] = {}
        windows = windows_of(self._settings, requirements_of(network).stride)
        shortest = min(window for window, _ in windows)
        for number in range(len(dataset)):
            frames = dataset.get_data_info(number)['sequence_length']
            if frames <= shortest:
                continue
            if self._settings.window is not None:
                plans[number] = TilingPlan(*windows[0])
                continue
            image = dataset.load_window(number, 0, 1)['inputs']
            size = (int(image.shape[-2]), int(image.shape[-1]))
            if (frames, size) not in sizes:
                sizes[frames, size] = self._plan(model, frames, size, windows)
            plan = sizes[frames, size]
            if plan is not None and plan.window < frames:
                plans[number] = plan
        if plans:
            told = ', '.join(
                sorted({f'{p.window} frames, overlap {p.overlap}' for p in plans.values()})
            )
            print_log(
                f'{len(plans)} of {len(dataset)} clips are restored in windows of {told}; '
                f'{self.stage}_cfg=dict(window=0) takes whole clips, as published figures do',
                'current',
            )
        dataset.windowed = frozenset(plans)
        return plans

    def _plan(
        self,
        model: nn.Module,
        frames: int,
        size: tuple[int, int],
        windows: Sequence[tuple[int, int]],
    ) -> TilingPlan | None:
        """Choose by the memory at hand; None for the whole clip."""
        assert self._settings is not None
        device = next(model.parameters()).device
        predictor = Predictor(model, device)
        cost = predictor.cost('float32')
        limit = self._settings.memory_limit
        budget = limit or int(available_memory(device) * USABLE)

        def chosen(candidates: Sequence[tuple[int, int]]) -> TilingPlan:
            return choose_plan(
                size, predictor.scale, _SAMPLE_BYTES, cost, budget, None, candidates, [0], 0
            )

        if frames <= WHOLE_FRAMES and self._settings.overlap is None:
            try:
                chosen([(frames, 0)])
                return None
            except NotEnoughMemoryError:
                pass
        try:
            return chosen(windows)
        except NotEnoughMemoryError as error:
            print_log(f'{error}. The smallest window is tried.', 'current', logging.WARNING)
            return TilingPlan(*min(windows))

    @torch.no_grad()
    def run_iter(self, idx: int, data_batch: dict, metrics: Sequence[BaseMetric]) -> None:
        """Restore and measure a batch, or a clip in windows.

        Args:
            idx (int): Number of the batch.
            data_batch (dict): What the data loader gives.
            metrics (Sequence[BaseMetric]): What is to be measured.
        """
        if WINDOWED not in data_batch:
            super().run_iter(idx, data_batch, metrics)  # type: ignore[misc]
            return
        loop: Any = self
        (number,) = data_batch[WINDOWED]
        plan = self._plans[id(loop.dataloader)][number]
        loop.runner.call_hook(f'before_{self.stage}_iter', batch_idx=idx, data_batch=data_batch)
        before = [len(metric.results) for metric in metrics]
        lengths = []
        for part in self._restored_parts(loop.dataloader.dataset, number, plan):
            lengths.append(len(part.output.pred_img))
            loop.evaluator.process([part], data_batch, metrics)
            loop.runner.call_hook(
                f'after_{self.stage}_iter', batch_idx=idx, data_batch=data_batch, outputs=[part]
            )
        for metric, count in zip(metrics, before, strict=True):
            merged = merge_windows(metric, metric.results[count:], lengths)
            metric.results[count:] = [merged]

    def _restored_parts(
        self, dataset: VideoClipDataset, number: int, plan: TilingPlan
    ) -> Iterator[DataSample]:
        """Yield what each window adds to a clip, with its ground truth."""
        loop: Any = self
        latest: list[DataSample] = []

        def windows() -> Iterator[RestoredWindow]:
            loaded = Prefetcher(_load(dataset, number, plan), 1)
            try:
                for data, is_last in loaded:
                    with autocast(enabled=loop.fp16):
                        step = getattr(loop.runner.model, f'{self.stage}_step')
                        latest[:] = step(pseudo_collate([data]))
                    yield RestoredWindow(latest[0].output.pred_img.float().numpy(), is_last)
            finally:
                loaded.close()

        first = 0
        for window, frames in enumerate(join_windows(windows(), plan)):
            start = plan.fade_start if window else 0
            yield _cut_out(latest[0], start, torch.from_numpy(frames), first)
            first += len(frames)


def _load(dataset: VideoClipDataset, number: int, plan: TilingPlan) -> Iterator[tuple[dict, bool]]:
    """Yield the windows of a clip, as the pipeline packs them, and whether each is the last."""
    frames = dataset.get_data_info(number)['sequence_length']
    start, is_last = 0, False
    while not is_last:
        stop = min(start + plan.window, frames)
        is_last = stop == frames
        yield dataset.load_window(number, start, stop), is_last
        start += plan.step


def _cut_out(sample: DataSample, start: int, restored: torch.Tensor, first: int) -> DataSample:
    """Cut some frames out of a window's sample.

    Args:
        sample (DataSample): The window.
        start (int): Place of the first frame in it.
        restored (torch.Tensor): What the frames have become, (t, c, h, w).
        first (int): Number of the first frame in the clip.

    Returns:
        DataSample: The frames.
    """
    count = len(sample.output.pred_img)

    def cut(value: Any) -> Any:
        listed = isinstance(value, list) or (torch.is_tensor(value) and value.ndim == 4)
        return value[start : start + len(restored)] if listed and len(value) == count else value

    meta = {key: cut(value) for key, value in sample.metainfo_items()}
    piece = DataSample(metainfo={**meta, 'first_frame': first})
    for key, value in sample.items():
        if key != 'output':
            piece.set_field(cut(value), key)
    piece.output = DataSample(pred_img=restored)
    return piece


@LOOPS.register_module()
class WindowedValLoop(WindowedLoop, MultiValLoop):
    """Validate in bounded memory; see :class:`WindowedLoop`."""

    stage = 'val'


@LOOPS.register_module()
class WindowedTestLoop(WindowedLoop, MultiTestLoop):
    """Test in bounded memory; see :class:`WindowedLoop`."""

    stage = 'test'
