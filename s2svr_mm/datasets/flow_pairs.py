# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Pairs of frames with their true optical flow."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mmagic.registry import DATASETS
from mmengine.dataset import BaseDataset

from ..errors import DataError
from ..io.paths import IMAGE_SUFFIXES

# Beside a flow, named as in Sintel with the number of its frame: occlusion_0001.png.
MASKS = 'occlusion', 'invalid'


@DATASETS.register_module()
class FlowPairDataset(BaseDataset):
    """Pairs of frames with the flow from the first to the second, to measure estimators on.

    Three layouts are known. Middlebury: folders of scenes at any depth with ``flow10.flo``,
    ``frame10.png`` and ``frame11.png``, whatever the number. Sintel's names: any number of
    ``frame_0001.png`` and ``flow_0001.flo`` in the folder of a scene, and if there are masks,
    ``occlusion_0001.png`` (not 0 where the pixel cannot be seen in the next frame) and
    ``invalid_0001.png`` (not 0 where the flow does not count). KITTI: ``NAME_10.png`` and
    ``NAME_11.png`` in one folder, ``NAME_10.png`` of the flow in another
    (``data_prefix=dict(img='training/image_2', flow='training/flow_occ')``).

    A sample has ``img_path`` (two frames), ``flow_path``, ``key`` and, for each mask that there is,
    ``occlusion_path`` and ``invalid_path``.

    Args:
        data_root (str): The folder that everything else is relative to.
        data_prefix (dict[str, str]): 'img', and 'flow' if that is another folder. Defaults to
            ``dict(img='')``.
        pipeline (Sequence[dict | Callable]): Transforms; :class:`LoadClip` and
            :class:`LoadFlow` load a sample. Defaults to ().
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
        **kwargs: Any,
    ) -> None:
        super().__init__(
            data_root=data_root,
            data_prefix=data_prefix,
            pipeline=list(pipeline),
            test_mode=True,
            **kwargs,
        )

    def load_data_list(self) -> list[dict]:
        """Find the pairs.

        Returns:
            list[dict]: The paths and the 'key' of each, in the order of their files.
        """
        images = Path(self.data_prefix['img'])
        flows = Path(self.data_prefix.get('flow', images))
        for folder in (images, flows):
            if not folder.is_dir():
                raise DataError(f'{folder} is not a folder. Correct data_root in the config.')
        if flows != images:
            files = sorted(flows.glob('*_10.png'))
            pairs = [self._pair(file, images, '', file.stem.removesuffix('_10')) for file in files]
        else:
            files = sorted(flows.rglob('*.flo'))
            in_scene = Counter(file.parent for file in files)
            pairs = []
            for file in files:
                # A scene of one flow goes by the name of its folder.
                named = file.parent if in_scene[file.parent] == 1 else file.with_suffix('')
                pairs.append(self._pair(file, file.parent, named.relative_to(flows).as_posix()))
        if not pairs:
            raise DataError(
                f'There is no flow in {flows}: neither SCENE/flow10.flo nor SCENE/flow_0001.flo '
                'nor, with a data_prefix of its own, NAME_10.png.'
            )
        return pairs

    def _pair(self, flow: Path, folder: Path, scene: str, name: str = '') -> dict:
        """Return the two frames that a flow belongs to, by its number."""
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
                if file.suffix.lower() in IMAGE_SUFFIXES
                and pattern.fullmatch(file.stem)
                and not file.stem.startswith(tuple(f'{mask}_' for mask in MASKS))
            ]
            if len(found) != 1:
                raise DataError(
                    f'{flow} needs one frame of the number {number} in {folder}, but there are '
                    f'{len(found)}.'
                )
            frames.append(str(found[0]))
        key = name or (flow.stem if scene in ('', '.') else scene)
        masks = {mask: flow.with_name(f'{mask}_{match[1]}.png') for mask in MASKS}
        paths = {f'{mask}_path': str(path) for mask, path in masks.items() if path.is_file()}
        return dict(key=key, img_path=frames, flow_path=str(flow), **paths)
