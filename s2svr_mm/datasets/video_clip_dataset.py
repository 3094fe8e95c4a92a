# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Clips of degraded frames with their ground truth, without an annotation file."""

import os
import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from mmagic.registry import DATASETS
from mmengine.dataset import BaseDataset

from ..errors import DataError
from ..io.clips import Clip, find_clips, locate_clip, open_clip
from ..io.paths import IMAGE_SUFFIXES, suffix_of


@DATASETS.register_module()
class VideoClipDataset(BaseDataset):
    """A dataset of video clips: one sample is a piece of one clip.

    ``data_prefix`` names a folder for 'img' (degraded frames), for 'gt' (ground truth), or for
    both. A folder holds clips at any depth, and a clip is a folder of frames (any naming, natural
    order), a video file, or a raw YUV 4:2:0 file. The folder may also be one clip itself. Clips of
    'img' and 'gt' belong together by their path without a file's ending and have the same length.
    With 'gt' alone, a degradation in the pipeline makes 'img'.

    Folders are listed and videos indexed once, when the dataset is built. A sample has mmagic's
    keys: ``key``, ``img_path`` and ``gt_path`` (frame references in order, see
    :mod:`s2svr_mm.io.paths`), ``num_input_frames``, ``sequence_length``, ``interval``,
    ``reverse``; also ``scale`` and ``yuv_size`` if given. :class:`LoadClip` loads them.

    Args:
        data_prefix (dict[str, str]): Folders for 'img' and 'gt', relative to ``data_root``.
        data_root (str): The folder that everything else is relative to. Default: ''.
        ann_file (str): Optional list of clips, one a line: the key, then anything, as in mmagic's
            lists (``000/00000000.png (720, 1280, 3)``, ``calendar 41``, ``00001/0266``). A plain
            number after the key is the clip's length and is checked. Default: '' (all clips).
        num_input_frames (int, optional): Length of a sample. In training it lies anywhere in the
            clip; with ``test_mode`` it starts at the first frame. Default: None (whole clips).
        interval_list (Sequence[int]): Temporal strides to draw from in training. Default: (1, ).
        reverse_ratio (float): Probability, in training, that a sample runs backwards.
            Default: 0.0.
        gt_frames (str): 'all', or 'center' for the middle frame of a sample alone, as Vimeo-90K-T
            is evaluated. Default: 'all'.
        scale (int, optional): Height and width of 'gt' over those of 'img', checked when frames
            are loaded. Default: None (any whole number).
        yuv_size (tuple[int, int], optional): (width, height) of raw YUV files whose names do not
            tell it. Default: None.
        prepare (str, optional): The name that ``tools/prepare_data.py`` knows this data set by,
            for the message when a folder is missing. Default: None.
        test_mode (bool): Take whole clips or their beginnings, nothing random. Default: False.
        pipeline (Sequence[dict | Callable]): Transforms. Default: ().
        **kwargs: Further arguments of :class:`mmengine.dataset.BaseDataset`.

    Raises:
        DataError: A folder or clip is missing or empty, 'img' and 'gt' disagree, a number is
            missing in a folder of frames, or a clip is shorter than asked for.
    """

    METAINFO = dict(dataset_type='video_clips', task_name='video_restoration')

    def __init__(
        self,
        data_prefix: dict[str, str],
        data_root: str = '',
        ann_file: str = '',
        num_input_frames: int | None = None,
        interval_list: Sequence[int] = (1,),
        reverse_ratio: float = 0.0,
        gt_frames: str = 'all',
        scale: int | None = None,
        yuv_size: tuple[int, int] | None = None,
        prepare: str | None = None,
        test_mode: bool = False,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs,
    ) -> None:
        if not data_prefix or set(data_prefix) - {'img', 'gt'}:
            raise ValueError(f"data_prefix takes 'img' and 'gt', got {sorted(data_prefix)}.")
        if num_input_frames is not None and num_input_frames < 1:
            raise ValueError(f'num_input_frames must be at least 1, got {num_input_frames}.')
        if not interval_list or min(interval_list) < 1:
            raise ValueError(f'interval_list needs whole numbers from 1, got {interval_list}.')
        if gt_frames not in ('all', 'center'):
            raise ValueError(f"gt_frames is 'all' or 'center', got {gt_frames!r}.")
        self.num_input_frames = num_input_frames
        self.interval_list = (1,) if test_mode else tuple(interval_list)
        self.reverse_ratio = 0.0 if test_mode else reverse_ratio
        self.gt_frames = gt_frames
        self.scale = scale
        self.yuv_size = tuple(yuv_size) if yuv_size else None
        self.prepare = prepare
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            data_prefix=data_prefix,
            pipeline=list(pipeline),
            test_mode=test_mode,
            **kwargs,
        )

    def load_data_list(self) -> list[dict]:
        """Find the clips and check all that can be checked without reading a frame.

        Returns:
            list[dict]: For each clip its 'key' and a :class:`Clip` for 'img' and 'gt'.
        """
        for folder in self.data_prefix.values():
            if not os.path.exists(folder):
                raise DataError(self._missing(folder))
        listed = self._read_clip_list() if self.ann_file else {}
        data_list = []
        for key, paths in self._clip_paths(listed).items():
            clips = {name: open_clip(path, self.yuv_size) for name, path in paths.items()}
            self._check_lengths(key, clips, listed.get(key))
            data_list.append(dict(key=key, **clips))
        return data_list

    def get_data_info(self, idx: int) -> dict:
        """A whole clip with mmagic's keys, before a piece is drawn from it.

        Args:
            idx (int): The clip's number.

        Returns:
            dict: The sample described in the class, without 'interval' and 'reverse'.
        """
        info = super().get_data_info(idx)
        for name in self.data_prefix:
            clip = info.pop(name)
            info[f'{name}_path'] = clip.references()
            info['sequence_length'] = clip.num_frames
        info['num_input_frames'] = self.num_input_frames or info['sequence_length']
        if self.scale is not None:
            info['scale'] = self.scale
        if self.yuv_size is not None:
            info['yuv_size'] = self.yuv_size
        return info

    def prepare_data(self, idx: int) -> dict:
        """Draw a piece of a clip and run the pipeline on it.

        Args:
            idx (int): The clip's number.

        Returns:
            dict: What the pipeline makes of it.
        """
        return self.pipeline(self._draw_piece(self.get_data_info(idx)))

    def _draw_piece(self, info: dict) -> dict:
        length, total = info['num_input_frames'], info['sequence_length']
        interval = int(np.random.choice(self.interval_list))
        span = (length - 1) * interval + 1
        start = 0 if self.test_mode else np.random.randint(total - span + 1)
        indices = list(range(start, start + span, interval))
        info['interval'] = interval
        info['reverse'] = bool(np.random.random() < self.reverse_ratio)
        if info['reverse']:
            indices.reverse()
        for name in self.data_prefix:
            chosen = indices
            if name == 'gt' and self.gt_frames == 'center':
                chosen = [indices[length // 2]]
            info[f'{name}_path'] = [info[f'{name}_path'][i] for i in chosen]
        return info

    def _clip_paths(self, listed: Iterable[str]) -> dict[str, dict[str, str]]:
        """The paths of each clip's 'img' and 'gt' by the clip's key."""
        if listed:
            return {
                key: {name: locate_clip(root, key) for name, root in self.data_prefix.items()}
                for key in listed
            }
        found = {name: find_clips(root) for name, root in self.data_prefix.items()}
        if len(found) == 2:
            for name, other in (('img', 'gt'), ('gt', 'img')):
                if alone := [key for key in found[name] if key not in found[other]]:
                    raise DataError(
                        f'{len(alone)} clips are in {self.data_prefix[name]} but not in '
                        f'{self.data_prefix[other]}: {", ".join(alone[:5])}. '
                        'Each clip needs its counterpart of the same name.'
                    )
        keys = next(iter(found.values()))
        return {key: {name: clips[key] for name, clips in found.items()} for key in keys}

    def _read_clip_list(self) -> dict[str, int | None]:
        """The keys in ``ann_file``, each with the length it lists (None if it lists none)."""
        if not os.path.isfile(self.ann_file):
            raise DataError(self._missing(self.ann_file))
        listed: dict[str, int | None] = {}
        with open(self.ann_file, encoding='utf-8') as file:
            for line in filter(None, map(str.strip, file)):
                key, _, rest = line.partition(' ')
                if suffix_of(key) in IMAGE_SUFFIXES:
                    key = os.path.dirname(key)
                number = re.match(r'\s*([0-9]+)(\s|$)', rest)
                listed[key] = int(number[1]) if number else None
        if not listed:
            raise DataError(f'The clip list {self.ann_file} is empty.')
        return listed

    def _check_lengths(self, key: str, clips: dict[str, Clip], listed: int | None) -> None:
        lengths = {name: clip.num_frames for name, clip in clips.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(
                f'Clip "{key}" has {lengths["img"]} frames in {clips["img"].path} but '
                f'{lengths["gt"]} in {clips["gt"].path}; they must be the same frames: '
                'put back what is missing, or take the rest away.'
            )
        clip = next(iter(clips.values()))
        if listed not in (None, clip.num_frames):
            raise DataError(
                f'{clip.path} has {clip.num_frames} frames where {self.ann_file} lists {listed}.'
            )
        needed = ((self.num_input_frames or 1) - 1) * max(self.interval_list) + 1
        if clip.num_frames < needed:
            raise DataError(
                f'{clip.path} has {clip.num_frames} frames, but num_input_frames='
                f'{self.num_input_frames} with a stride of {max(self.interval_list)} needs '
                f'{needed}. Lower them, or leave the clip out.'
            )

    def _missing(self, path: str) -> str:
        if self.prepare is None:
            return f'{path} does not exist. Correct data_root or data_prefix in the config.'
        return (
            f'{path} does not exist. Prepare the data with\n'
            f'  python tools/prepare_data.py {self.prepare} --src DOWNLOADED '
            f'--dst {self.data_root}\n'
            'or set data_root in the config to where it is.'
        )
