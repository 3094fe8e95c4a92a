# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Errors of flow estimators on clean and degraded frames, in one table."""

import csv
import io
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from mmagic.registry import DATASETS, MODELS
from torch import Tensor, nn

from ..checkpoints.files import read_weights
from ..checkpoints.matching import load_into
from ..errors import ConfigError, S2SVRError
from ..evaluation import mean_errors, sample_errors
from ..io.flow_files import flow_to_rgb
from ..io.images import encode_png
from ..models.flow.estimators import resize_input
from ..models.flow.unsupervised import flow_at
from ..ops.resize_flow import resize_flow
from ..utils.building import config_errors
from ..utils.config import read_config
from ..utils.manifest import write_made
from ..utils.profiling import count_macs
from ..utils.tables import markdown_table

DEGRADATIONS = {
    'clean': [],
    'sr': [dict(type='BicubicDownsample', scale=4)],
    'compress': [dict(type='CompressVideo', qp=37)],
    'blur': [dict(type='PairMotionBlur', exposure=1.0)],
}
_HEADINGS = {'clean': 'clean', 'sr': 'x4 down', 'compress': 'QP 37', 'blur': 'blur'}


@dataclass
class Estimator:
    """An estimator with its name in the table.

    Attributes:
        name (str): The name.
        module (nn.Module): ``forward(ref, supp) -> flow``.
        input_size (tuple[int, int] | int, optional): Size that frames are resized to for it, or how
            many times larger.
    """

    name: str
    module: nn.Module
    input_size: tuple[int, int] | int | None = None

    @torch.no_grad()
    def __call__(self, ref: Tensor, supp: Tensor) -> Tensor:
        """Estimate the flow from ``ref`` to ``supp``, (n, 2, h, w)."""
        flow = self.module(*(resize_input(frame, self.input_size) for frame in (ref, supp)))
        height, width = ref.shape[-2:]
        return flow if self.input_size is None else resize_flow(flow, (height, width))


def build_estimator(name: str, config: str, checkpoint: str | None, device: str) -> Estimator:
    """Build the flow estimator of a config, whatever is around it.

    Args:
        name (str): Its name in the table.
        config (str): Config whose ``model`` is an estimator, :class:`UnsupervisedFlow`,
            :class:`S2SVR` or :class:`S2SVRNet`.
        checkpoint (str, optional): Weights of the estimator alone, or of a model that holds it:
            that of the config or another. None takes those that the config names.
        device (str): Where it runs.

    Returns:
        Estimator: Ready to estimate.

    Raises:
        ConfigError: If the config has no model.
        CheckpointError: If the weights do not fit.
    """
    cfg = read_config(config)
    if 'model' not in cfg:
        raise ConfigError(f'{config} has no model: there is no flow estimator in it')
    around = cfg.model.get('generator', cfg.model)
    key = next((key for key in ('estimator', 'flow_estimator') if key in around), None)
    with config_errors(cfg, config):
        module = MODELS.build(around[key] if key else around)
    if checkpoint is None:
        module.init_weights()
    else:
        load_into(module, read_weights(checkpoint), checkpoint)
    size = around.get('flow_input_size')
    return Estimator(name, module.eval().to(device), size)


def baselines() -> list[Estimator]:
    """Zero flow and OpenCV's DIS, to compare with."""
    kinds = {'zero flow': 'ZeroFlow', 'DIS': 'DISFlow'}
    return [Estimator(name, MODELS.build(dict(type=kind))) for name, kind in kinds.items()]


@dataclass
class FlowTable:
    """Errors of each estimator on each pair of each degradation.

    Attributes:
        rows (dict): (estimator, degradation) -> scene -> errors as of :func:`.sample_errors`, and
            ``GMACs`` and ``seconds``.
    """

    rows: dict[tuple[str, str], dict[str, dict[str, float]]] = field(default_factory=dict)

    def mean(self, estimator: str, degradation: str) -> dict[str, float]:
        """Means over the scenes, by name of the error."""
        return mean_errors(list(self.rows[estimator, degradation].values()))

    def to_markdown(self) -> str:
        """Mean errors, alignment and cost: three tables, a row for each estimator."""
        return '\n'.join(
            self._table(heading, cell)
            for heading, cell in (
                (
                    'end-point error in pixels (share above 1)',
                    '{EPE:.3f} ({EPE_1px:.1f} %)',
                ),
                (
                    'alignment error in grey levels of 255 (of the true flow)',
                    '{alignment:.2f} ({alignment_true:.2f})',
                ),
                (
                    'G multiply-adds a pair, seconds a pair',
                    '{GMACs:.2f}, {seconds:.3f}',
                ),
            )
        )

    def _table(self, heading: str, cell: str) -> str:
        estimators = list(dict.fromkeys(name for name, _ in self.rows))
        kinds = list(dict.fromkeys(kind for _, kind in self.rows))
        rows = [
            [name, *(cell.format(**self.mean(name, kind)) for kind in kinds)] for name in estimators
        ]
        return markdown_table([heading, *(_HEADINGS[kind] for kind in kinds)], rows)

    def to_csv(self) -> str:
        """All errors of all scenes, and their means."""
        text = io.StringIO()
        errors = list(next(iter(next(iter(self.rows.values())).values())))
        writer = csv.writer(text, lineterminator='\n')
        writer.writerow(['estimator', 'degradation', 'scene', *errors])
        for (name, kind), scenes in self.rows.items():
            for scene, measured in {**scenes, 'mean': self.mean(name, kind)}.items():
                figures = [f'{measured[error]:.4f}' for error in errors]
                writer.writerow([name, kind, scene, *figures])
        return text.getvalue()

    def write(self, path: str) -> None:
        """Write the table, complete or not at all.

        Args:
            path (str): ``.md`` for :meth:`to_markdown`, ``.csv`` for :meth:`to_csv`.
        """
        text = self.to_csv() if path.endswith('.csv') else self.to_markdown()
        write_made(Path(path).parent, {Path(path).name: text.encode()})


def evaluate_flow(
    estimators: Iterable[Estimator],
    data_root: str,
    degradations: Sequence[str] = tuple(DEGRADATIONS),
    device: str = 'cpu',
    pictures: str | None = None,
) -> FlowTable:
    """Measure estimators on pairs with true flow.

    Degraded frames of a smaller size (x4 down) are estimated at that size, as a restorer does, and
    the flow is enlarged to the true one's.

    Args:
        estimators (Iterable[Estimator]): What to measure.
        data_root (str): Folder that :class:`FlowPairDataset` reads.
        degradations (Sequence[str]): Of 'clean', 'sr', 'compress', 'blur'. Defaults to all.
        device (str): Where frames go. Defaults to 'cpu'.
        pictures (str, optional): Folder for the flows in colour. Defaults to None.

    Returns:
        FlowTable: The errors.

    Raises:
        DataError: If the data cannot be used.
        NonFiniteError: If an estimator finds NaN or infinity.
    """
    meters = [_Meter(estimator) for estimator in estimators]
    table = FlowTable()
    for kind in degradations:
        for sample in _pairs(data_root, kind):
            frames = sample['inputs'].float().div(255).to(device)
            truth = sample['data_samples']
            true, valid = truth.gt_flow.numpy(), truth.gt_valid[0].numpy() > 0
            scene = truth.metainfo['key']
            for estimator in meters:
                estimated, cost = estimator(frames[:1], frames[1:])
                flow = flow_at(estimated.float(), true.shape[1:])[0].cpu().numpy()
                scenes = table.rows.setdefault((estimator.name, kind), {})
                try:
                    scenes[scene] = sample_errors(flow, truth.to_dict()) | cost
                except S2SVRError as error:
                    raise type(error)(f'{estimator.name}, {scene}, {kind}: {error}') from error
                if pictures:
                    longest = np.linalg.norm(true, axis=0)[valid].max()
                    name = f'{kind}_{estimator.name.replace(" ", "_")}'
                    _write_picture(pictures, f'{scene}/{name}.png', flow, longest)
            if pictures:
                shown = np.where(valid, true, np.nan)
                longest = np.linalg.norm(true, axis=0)[valid].max()
                _write_picture(pictures, f'{scene}/true.png', shown, longest)
    return table


class _Meter:
    """An estimator whose multiply-adds are counted and whose time is taken."""

    def __init__(self, estimator: Estimator) -> None:
        self.name = estimator.name
        self._estimator = estimator
        self._macs: dict[torch.Size, int] = {}

    def __call__(self, ref: Tensor, supp: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Return the flow, and the cost of the pair: ``GMACs`` and ``seconds``."""
        if ref.shape not in self._macs:
            # The first call of a size also warms up what is timed.
            self._macs[ref.shape] = count_macs(lambda: self._estimator(ref, supp))
        _wait_for(ref.device)
        start = time.perf_counter()
        flow = self._estimator(ref, supp)
        _wait_for(ref.device)
        seconds = time.perf_counter() - start
        return flow, dict(GMACs=self._macs[ref.shape] / 1e9, seconds=seconds)


def _wait_for(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def _pairs(data_root: str, kind: str) -> Iterable[dict]:
    pipeline = [
        dict(type='LoadClip'),
        dict(type='LoadFlow'),
        *DEGRADATIONS[kind],
        dict(
            type='PackInputs',
            data_keys=['gt_flow', 'gt_valid', 'gt_visible', 'gt_clean'],
            meta_keys=['key'],
        ),
    ]
    return DATASETS.build(dict(type='FlowPairDataset', data_root=data_root, pipeline=pipeline))


def _write_picture(root: str, name: str, flow: np.ndarray, longest: float) -> None:
    path = Path(root, name)
    picture = flow_to_rgb(flow.transpose(1, 2, 0), float(longest))
    write_made(path.parent, {path.name: encode_png(picture)}, Path(root))
