# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Flow that a teacher finds on clean frames, found once and kept."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmagic.datasets.transforms import Flip
from mmagic.registry import MODELS, TRANSFORMS
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log

from ...errors import DataError
from ...io.flow_files import kitti_png, read_flow
from ...utils.files import write_bytes


@TRANSFORMS.register_module()
class LoadFlowLabels(BaseTransform):
    """Load the teacher's flows between two neighbouring frames; compute and store them if missing.

    Several passes of a teacher over whole frames take longer than the steps that learn from them;
    but for a clip they are always the same. So a pair that is drawn for the first time is given to
    the teacher, on the CPU, and what it finds is written below ``root``: a folder for the teacher's
    weights, a folder for each clip, two PNGs in KITTI's form for each pair. Other weights have
    another folder. The next time the files are read.

    It comes after :class:`LoadClip` and before anything that changes the frames.
    :class:`FlipFlowLabels` flips, mmagic's ``FixedCrop`` with ``flow_label`` among its keys crops.

    Required keys: ``key``, ``gt_indices``, ``gt`` (two frames). Added key: ``flow_label``,
    (h, w, 6), float32: the flow that lives on the first frame, that on the second, and where each
    is believed.

    Args:
        root (str): The folder.
        teacher (dict): Config of a :class:`.FlowLabeler`.

    Raises:
        DataError: The sample is no pair of neighbours.
    """

    def __init__(self, root: str, teacher: dict) -> None:
        self.root = root
        self.teacher = teacher

    @cached_property
    def _labeler(self) -> Any:
        # Built by the process that loads data, not by the one that starts it.
        labeler = MODELS.build(self.teacher)
        labeler.init_weights()
        return labeler.eval()

    def transform(self, results: dict) -> dict:
        """Load the labels of a sample.

        Args:
            results (dict): A sample of :class:`VideoClipDataset` after :class:`LoadClip`.

        Returns:
            dict: The sample with ``flow_label``.
        """
        indices = results['gt_indices']
        if len(indices) != 2 or abs(indices[0] - indices[1]) != 1:
            raise DataError(
                f'{results["key"]}: the frames {indices} are no pair of neighbours. Labels need '
                'num_input_frames=2 and interval_list=[1].'
            )
        first, second = indices
        folder = Path(self.root, self._labeler.fingerprint, results['key'])
        paths = [folder / f'{a:08d}_{b:08d}.png' for a, b in ((first, second), (second, first))]
        if not all(path.is_file() for path in paths):
            self._find(results['gt'], paths)
        flows, believed = zip(*map(read_flow, paths), strict=True)
        shape = results['gt'][0].shape[:2]
        for path, flow in zip(paths, flows, strict=True):
            if flow.shape[:2] != shape:
                raise DataError(
                    f'{path} is {flow.shape[1]}x{flow.shape[0]}, but its frame is '
                    f'{shape[1]}x{shape[0]}: the clip has changed. Remove the labels.'
                )
        label = np.concatenate((*flows, *(b[..., None] for b in believed)), -1)
        results['flow_label'] = label.astype(np.float32)
        return results

    def _find(self, frames: list[np.ndarray], paths: list[Path]) -> None:
        print_log(f'Labels of {paths[0].parent}: {paths[0].stem}', 'current', level=10)
        pair = [torch.from_numpy(frame.astype(np.float32)).permute(2, 0, 1) for frame in frames]
        label = self._labeler(*(frame[None] / 255 for frame in pair))[0].permute(1, 2, 0).numpy()
        for path, flow, believed in zip(
            paths, (label[..., :2], label[..., 2:4]), (label[..., 4], label[..., 5]), strict=True
        ):
            write_bytes(path, kitti_png(flow, believed > 0))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(root={self.root!r})'


@TRANSFORMS.register_module()
class FlipFlowLabels(Flip):
    """Flip a pair and its labels, whose vectors turn.

    Required and modified keys: ``gt``, ``flow_label``.

    Args:
        flip_ratio (float): Probability. Defaults to 0.5.
        direction (str): 'horizontal' or 'vertical'. Defaults to 'horizontal'.
    """

    def __init__(self, flip_ratio: float = 0.5, direction: str = 'horizontal') -> None:
        super().__init__(['gt', 'flow_label'], flip_ratio, direction)

    def transform(self, results: dict) -> dict:
        """Flip a sample.

        Args:
            results (dict): The sample.

        Returns:
            dict: The sample.
        """
        results = super().transform(results)
        if results['flip_infos'][-1]['flip']:
            part = 0 if self.direction == 'horizontal' else 1
            results['flow_label'][..., [part, part + 2]] *= -1
        return results
