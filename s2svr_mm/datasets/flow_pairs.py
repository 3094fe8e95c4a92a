# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Pairs of frames with their true optical flow."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from mmagic.registry import DATASETS
from mmengine.dataset import BaseDataset

from ..errors import DataError
from ..io.paths import IMAGE_SUFFIXES


@DATASETS.register_module()
class FlowPairDataset(BaseDataset):
    """Pairs of frames with the flow from the first to the second, to measure estimators on.

    Two layouts are known. Middlebury: folders of scenes at any depth with ``flow10.flo``,
    ``frame10.png`` and ``frame11.png``, whatever the number. KITTI: ``NAME_10.png`` and
    ``NAME_11.png`` in one folder, ``NAME_10.png`` of the flow in another
    (``data_prefix=dict(img='training/image_2', flow='training/flow_occ')``).

    A sample has ``img_path`` (two frames), ``flow_path`` and ``key``.

    Args:
        data_root (str): The folder that everything else is relative to.
        data_prefix (dict[str, str]): 'img', and 'flow' if that is another folder. Default:
            ``dict(img='')``.
        pipeline (Sequence[dict | Callable]): Transforms; :class:`LoadClip` and
            :class:`LoadFlow` load a sample. Default: ().
        **kwargs: Further arguments of :class:`mmengine.dataset.BaseDataset`.

    Raises:
        DataError: A folder is missing or holds no flow, or a flow has no two frames.
    """

    METAINFO = dict(dataset_type='flow_pairs', task_name='optical_flow')

    def __init__(
        self,
        data_root: str,
        data_prefix: dict[str, str] = dict(img=''),  # noqa: B006
        pipeline: Sequence[dict | Callable] = (),
        **kwargs,
    ) -> None:
        super().__init__(
            data_root=data_root,
            data_prefix=data_prefix,
            pipeline=list(pipeline),
            test_mode=True,
            **kwargs,
        )

    def load_data_list(self) -> list[dict]:
        """Finds the pairs.

        Returns:
            list[dict]: 'key', 'img_path' and 'flow_path' of each, in the order of their keys.
        """
        images = Path(self.data_prefix['img'])
        flows = Path(self.data_prefix.get('flow', images))
        for folder in (images, flows):
            if not folder.is_dir():
                raise DataError(f'{folder} is no folder. Correct data_root in the config.')
        if flows != images:
            files = sorted(flows.glob('*_10.png'))
            pairs = [self._pair(file, images, '', file.stem.removesuffix('_10')) for file in files]
        else:
            files = sorted(flows.rglob('*.flo'))
            pairs = [
                self._pair(file, file.parent, str(file.parent.relative_to(flows))) for file in files
            ]
        if not pairs:
            raise DataError(
                f'There is no flow in {flows}: neither SCENE/flow10.flo nor, with a '
                'data_prefix of its own, NAME_10.png.'
            )
        return pairs

    def _pair(self, flow: Path, folder: Path, scene: str, name: str = '') -> dict:
        """The two frames that a flow belongs to, by its number."""
        match = re.search(r'(\d+)$', flow.stem)
        if match is None:
            raise DataError(f'{flow} has no number; it needs that of its first frame.')
        first = int(match[1])
        frames = []
        for number in (first, first + 1):
            pattern = re.compile(rf'{re.escape(name)}\D*0*{number}$')
            found = [
                file
                for file in folder.iterdir()
                if file.suffix.lower() in IMAGE_SUFFIXES and pattern.fullmatch(file.stem)
            ]
            if len(found) != 1:
                raise DataError(
                    f'{flow} needs one frame of the number {number} in {folder}, but there are '
                    f'{len(found)}.'
                )
            frames.append(str(found[0]))
        key = name or (flow.stem if scene in ('', '.') else scene)
        return dict(key=key, img_path=frames, flow_path=str(flow))
