# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Clips of degraded frames with their ground truth, without an annotation file."""

import codecs
import os
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from mmagic.datasets.transforms import PairedRandomCrop
from mmagic.registry import DATASETS
from mmengine.dataset import BaseDataset

from ..errors import ConfigError, DataError
from ..io.clips import find_clips, locate_clip, number_of, open_reader
from ..io.images import ImageReader
from ..io.paths import IMAGE_SUFFIXES, suffix_of
from ..io.reader import Reader
from .transforms.patch_size import CheckPatchSize

# The key of a sample that is only the number of a clip, which is loaded window by window.
WINDOWED = 'windowed_clip'
# Transforms that make a frame of each frame, whatever its neighbours are.
_FRAMEWISE = frozenset(
    ['LoadClip', 'LoadYUVFrames', 'BicubicDownsample', 'GaussianDownsample', 'FixedCrop']
)
_FRAMEWISE |= {'CheckPatchSize', 'PackInputs', 'SetValues', 'Resize', 'MATLABLikeResize'}


@DATASETS.register_module()
class VideoClipDataset(BaseDataset):
    """A dataset of video clips: one sample is a clip, or consecutive frames of one.

    ``data_prefix`` names a folder for 'img' (degraded frames), for 'gt' (ground truth), or for
    both. A folder holds clips at any depth, and a clip is a folder of frames (any naming, natural
    order), a video file, an animated image, or a raw YUV file. It may also be one clip itself.
    Clips of 'img' and 'gt' belong together by their path without a file's ending and have the same
    length.
    With 'gt' alone, a degradation in the pipeline makes 'img'.

    Folders are listed and videos indexed once, when the dataset is built. A sample has mmagic's
    keys: ``key``, ``img_path`` and ``gt_path`` (for each frame its file, or its place in one, such
    as ``walk.mp4: frame 12``), ``num_input_frames``, ``sequence_length``, ``interval``,
    ``reverse``, and ``scale`` if given; beside them ``img_clip`` and ``gt_clip`` (readers) with
    ``img_indices`` and ``gt_indices`` (numbers of the frames). :class:`LoadClip` loads them.

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
            state it. Default: None.
        prepare (str, optional): The name that ``s2svr prepare-data`` knows this data set by,
            for the message when a folder is missing. Default: None.
        strict (bool): Refuse damaged videos instead of warning of them. Default: False.
        test_mode (bool): Take whole clips or their beginnings, nothing random. Default: False.
        pipeline (Sequence[dict | Callable]): Transforms. Default: ().
        **kwargs: Further arguments of :class:`mmengine.dataset.BaseDataset`.

    Attributes:
        windowed (frozenset[int]): Numbers of clips of which a sample is no more than that number,
            for :meth:`load_window`.

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
        strict: bool = False,
        test_mode: bool = False,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs: Any,
    ) -> None:
        if not data_prefix or set(data_prefix) - {'img', 'gt'}:
            raise ConfigError(f"data_prefix takes 'img' and 'gt', got {sorted(data_prefix)}.")
        if num_input_frames is not None and num_input_frames < 1:
            raise ConfigError(f'num_input_frames must be at least 1, got {num_input_frames}.')
        if not interval_list or min(interval_list) < 1:
            raise ConfigError(f'interval_list needs whole numbers from 1, got {interval_list}.')
        if gt_frames not in ('all', 'center'):
            raise ConfigError(f"gt_frames is 'all' or 'center', got {gt_frames!r}.")
        self.num_input_frames = num_input_frames
        self.interval_list = (1,) if test_mode else tuple(interval_list)
        self.reverse_ratio = 0.0 if test_mode else reverse_ratio
        self.gt_frames = gt_frames
        self.scale = scale
        self.yuv_size = (yuv_size[0], yuv_size[1]) if yuv_size else None
        self.prepare = prepare
        self.strict = strict
        self.windowed: frozenset[int] = frozenset()
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            data_prefix=data_prefix,
            pipeline=list(pipeline),
            test_mode=test_mode,
            **kwargs,
        )
        transforms = self.pipeline.transforms
        for i in reversed(range(len(transforms))):
            if isinstance(transforms[i], PairedRandomCrop):
                transforms.insert(i, CheckPatchSize(transforms[i].gt_patch_size))

    def load_data_list(self) -> list[dict]:
        """Find the clips and check all that can be checked without reading a frame.

        Returns:
            list[dict]: For each clip its 'key' and a reader for 'img' and 'gt'.
        """
        for folder in self.data_prefix.values():
            if not os.path.exists(folder):
                raise DataError(self._missing(folder))
        listed = self._read_clip_list() if self.ann_file else {}
        data_list = []
        for key, paths in self._clip_paths(listed).items():
            clips = {
                name: open_reader(path, yuv_size=self.yuv_size, strict=self.strict)
                for name, path in paths.items()
            }
            self._check_lengths(key, clips, listed.get(key))
            _warn_of_flaws(key, clips)
            data_list.append(dict(key=key, **clips))
        return data_list

    def get_data_info(self, idx: int) -> dict:
        """Return a whole clip with mmagic's keys, before a sample is drawn from it.

        Args:
            idx (int): The clip's number.

        Returns:
            dict: The sample described in the class, without 'interval' and 'reverse'.
        """
        info = super().get_data_info(idx)
        for name in self.data_prefix:
            clip = info[f'{name}_clip'] = info.pop(name)
            info[f'{name}_indices'] = list(range(clip.num_frames))
            info[f'{name}_path'] = _places(clip, info[f'{name}_indices'])
            info['sequence_length'] = clip.num_frames
        info['num_input_frames'] = self.num_input_frames or info['sequence_length']
        if self.scale is not None:
            info['scale'] = self.scale
        return info

    def prepare_data(self, idx: int) -> dict:
        """Draw a sample from a clip and run the pipeline on it.

        Args:
            idx (int): The clip's number.

        Returns:
            dict: What the pipeline makes of it.
        """
        if idx in self.windowed:
            return {WINDOWED: idx}
        return self.pipeline(self._draw_piece(self.get_data_info(idx)))

    def has_windows(self) -> bool:
        """Whether a part of a clip is to the pipeline what it is in the whole clip."""
        names = {type(transform).__name__ for transform in self.pipeline.transforms}
        whole = self.test_mode and self.num_input_frames is None and self.gt_frames == 'all'
        return whole and names <= _FRAMEWISE

    def load_window(self, idx: int, start: int, stop: int) -> dict:
        """Run the pipeline on some frames of a clip; see :meth:`has_windows`.

        Args:
            idx (int): The clip's number.
            start (int): Number of the first frame.
            stop (int): Number after the last one.

        Returns:
            dict: What the pipeline makes of them.
        """
        info = self.get_data_info(idx)
        info.update(num_input_frames=stop - start, interval=1, reverse=False)
        for name in self.data_prefix:
            for key in (f'{name}_indices', f'{name}_path'):
                info[key] = info[key][start:stop]
        return self.pipeline(info)

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
            info[f'{name}_indices'] = chosen
            info[f'{name}_path'] = _places(info[f'{name}_clip'], chosen)
        return info

    def _clip_paths(self, listed: Iterable[str]) -> dict[str, dict[str, str]]:
        """Return the paths of each clip's 'img' and 'gt' by the clip's key."""
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
        """Return the keys in ``ann_file``, each with its length (None if it lists none)."""
        if not os.path.isfile(self.ann_file):
            raise DataError(self._missing(self.ann_file))
        with open(self.ann_file, 'rb') as file:
            data = file.read()
        utf16 = data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        text = data.decode('utf-16' if utf16 else 'utf-8-sig', errors='surrogateescape')
        listed: dict[str, int | None] = {}
        for line in filter(None, map(str.strip, text.splitlines())):
            if not line.startswith('#'):
                key, rest = self._split_line(line)
                number = re.match(r'([0-9]+)(\s|$)', rest)
                listed[key] = int(number[1]) if number else None
        if not listed:
            raise DataError(f'The clip list {self.ann_file} is empty.')
        return listed

    def _split_line(self, line: str) -> tuple[str, str]:
        """Split a line into key and rest; a key may hold blanks, so the longest clip counts."""
        root = next(iter(self.data_prefix.values()))
        ends = [len(line), *(match.start() for match in re.finditer(r'\s+', line))]
        keys = {end: _without_frame(line[:end]) for end in sorted(ends, reverse=True)}
        exact = (end for end, key in keys.items() if os.path.exists(os.path.join(root, key)))
        inexact = (end for end, key in keys.items() if _has_clip(root, key))
        # A missing clip is reported when it is opened.
        end = next(chain(exact, inexact), min(keys))
        return keys[end], line[end:].strip()

    def _check_lengths(self, key: str, clips: Mapping[str, Reader], listed: int | None) -> None:
        lengths = {name: clip.num_frames for name, clip in clips.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(
                f'Clip "{key}" has {lengths["img"]} frames in {clips["img"].path} but '
                f'{lengths["gt"]} in {clips["gt"].path}; they must be the same frames: '
                'put back what is missing, or remove the rest.'
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
            f'  s2svr prepare-data {self.prepare} --src DOWNLOADED '
            f'--dst {self.data_root}\n'
            'or set data_root in the config to where it is.'
        )


def _without_frame(path: str) -> str:
    """Return the clip of a listed frame; a listed clip itself."""
    return os.path.dirname(path) if suffix_of(path) in IMAGE_SUFFIXES and '/' in path else path


def _has_clip(root: str, key: str) -> bool:
    try:
        return bool(locate_clip(root, key))
    except DataError:
        return False


def _places(clip: Reader, indices: Sequence[int]) -> list[str]:
    """Where frames come from: files, or places in one."""
    return [
        clip.file(index) if isinstance(clip, ImageReader) else clip.place(index)
        for index in indices
    ]


def _warn_of_flaws(key: str, clips: Mapping[str, Reader]) -> None:
    """Warn of damage, and of frames that are numbered apart, as those of other frames are."""
    for clip in clips.values():
        if clip.damage:
            warnings.warn(f'{clip.path} is damaged: {clip.damage}', stacklevel=2)
    lq, gt = clips.get('img'), clips.get('gt')
    if isinstance(lq, ImageReader) and isinstance(gt, ImageReader):
        first, true = number_of(lq.names[0]), number_of(gt.names[0])
        if first is not None and true is not None and first != true:
            warnings.warn(
                f'Clip "{key}": the frames of {lq.path} are numbered from {first}, those of '
                f'{gt.path} from {true}, {abs(true - first)} apart. They are taken in order; make '
                'sure that they show the same.',
                stacklevel=2,
            )
