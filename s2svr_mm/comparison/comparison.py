# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Restore and measure each clip with each method, and keep what is done."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice, tee
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from tqdm import tqdm

from ..errors import DataError
from ..evaluation.clip_measurer import ClipMeasurer, Stopwatch
from ..io.images import read_image, write_png
from ..utils.files import unfinished
from ..utils.manifest import check_made, not_made, note_made, remove_made, sha256
from .clips import ComparedClip
from .methods import Baseline, GroundTruth, Method, NetworkMethod, bicubic

_FIRST_FRAMES = 8
# What write_comparison makes of the results.
FILES = ('results.csv', 'table.md', 'report.html')


@dataclass
class ClipResult:
    """What a method made of a clip.

    Attributes:
        method (str): Name of the method.
        group (str): Name of the clip's set.
        clip (str): Name of the clip in it.
        is_reference (bool): Whether the method is what others are measured against.
        size (tuple[int, int]): Height and width of the restored frames.
        num_frames (int): Number of frames.
        settings (str): How it was restored.
        notes (list[str]): What there is to know about that.
        seconds (float, optional): Time to restore the clip, reading and writing not counted; None
            for the ground truth.
        parameters (int, optional): Of the network; None if it is none.
        macs (int, optional): Multiply-adds a frame, likewise.
        figures (dict): ``psnr_y``, ``ssim_y``, ``psnr_rgb`` and ``ssim_rgb`` of each frame, where
            there is a ground truth; ``warping_error`` of each frame but the last.
        folder (Path): Where its frames are.
    """

    method: str
    group: str
    clip: str
    is_reference: bool
    size: tuple[int, int]
    num_frames: int
    settings: str
    notes: list[str]
    seconds: float | None
    parameters: int | None
    macs: int | None
    figures: dict[str, list[float | None]]
    folder: Path = field(default=Path(), compare=False)

    def __post_init__(self) -> None:
        # JSON has no tuples.
        self.size = (self.size[0], self.size[1])

    @property
    def frames(self) -> list[Path]:
        """The restored frames, 8-bit PNGs."""
        return [self.folder / f'{index:08d}.png' for index in range(self.num_frames)]

    def read(self, index: int) -> np.ndarray:
        """Read a restored frame, (h, w, 3), RGB, uint8."""
        return read_image(str(self.frames[index]))

    def mean(self, figure: str) -> float | None:
        """Return a figure averaged over the frames; None if it is not known of any."""
        known = [value for value in self.figures.get(figure, []) if value is not None]
        return float(np.mean(known)) if known else None


class Comparison:
    """Every method on every clip; a second call resumes where the first one stopped.

    A result is a folder ``<root>/results/<set>/<clip>/<method>``, which appears whole: the frames
    and ``result.json`` with the figures and all that they depend on. If that has changed since,
    the clip is restored again by that method, so results of different weights or data never mix.

    Args:
        root (Path): The folder of the comparison.
        networks (Sequence[NetworkMethod]): Networks of one scale.
        clips (Sequence[ComparedClip]): Clips for that scale.
        progress (bool): Whether to show a progress bar. Default: True.
    """

    def __init__(
        self,
        root: Path,
        networks: Sequence[NetworkMethod],
        clips: Sequence[ComparedClip],
        progress: bool = True,
    ) -> None:
        self.root = root
        self.networks = list(networks)
        self.clips = list(clips)
        self.scale = self.networks[0].scale
        self.baseline = Baseline(self.scale)
        self.progress = progress

    def methods(self, clip: ComparedClip) -> list[Method]:
        """Return the methods for a clip: its ground truth if there is one, baseline, networks."""
        truth = [] if clip.gt is None else [GroundTruth()]
        return [*truth, self.baseline, *self.networks]

    def run(self) -> list[ClipResult]:
        """Restore and measure what is not there yet.

        Returns:
            list[ClipResult]: By clip, then in the order of :meth:`methods`.

        Raises:
            DataError: A clip can't be read.
            OutputError: Something that was not made here stands where a result goes.
            NonFiniteError: A network returns NaN or infinite values.
        """
        check_made(self.root, FILES)
        results = []
        total = sum(clip.num_frames * len(self.methods(clip)) for clip in self.clips)
        bar = tqdm(
            total=total, unit='frames', disable=not self.progress, file=sys.stderr, mininterval=0.5
        )
        with bar:
            for clip in self.clips:
                data = clip.fingerprint()
                for method in self.methods(clip):
                    bar.set_description(f'{clip.group}/{clip.key}: {method.name}', refresh=False)
                    results.append(self._result(method, clip, data, bar))
        return results

    def _folder(self, method: Method, clip: ComparedClip) -> Path:
        names = (quote(name, safe=' ') for name in (clip.group, clip.key, method.name))
        return self.root.joinpath('results', *names)

    def _result(
        self, method: Method, clip: ComparedClip, data: dict[str, Any], bar: tqdm
    ) -> ClipResult:
        """Return what a method makes of a clip whose fingerprint is ``data``: kept, or made now."""
        folder = self._folder(method, clip)
        provenance = {**data, **method.fingerprint()}
        kept = folder / 'result.json'
        if kept.is_file() and not not_made(folder, [kept.name], self.root):
            content = json.loads(kept.read_text(encoding='utf-8'))
            before = content['made_of']
            changed = [k for k in {*before, *provenance} if before.get(k) != provenance.get(k)]
            if not changed:
                result = ClipResult(**content['result'], folder=folder)
                if all(frame.is_file() for frame in result.frames):
                    bar.update(clip.num_frames)
                    return result
            bar.write(
                f'{clip.group}/{clip.key} by {method.name} is made again: another '
                + (', '.join(sorted(changed)) or 'frame is gone'),
                file=sys.stderr,
            )
        remove_made(folder, self.root)
        with unfinished(folder, self.root) as work:
            work.mkdir()
            result = self._restore(method, clip, work, bar)
            content = {'made_of': provenance, 'result': asdict(result)}
            del content['result']['folder']
            description = json.dumps(content, indent=1)
            (work / 'result.json').write_text(description, encoding='utf-8')
            note_made(folder, {'result.json': sha256(description.encode())}, self.root)
        result.folder = folder
        return result

    def _restore(self, method: Method, clip: ComparedClip, folder: Path, bar: tqdm) -> ClipResult:
        """Restore a clip into a folder, frame by frame, and measure it."""
        settings, notes = method.prepare([lq for lq, _ in islice(clip.pairs(), _FIRST_FRAMES)])
        reading, all_of_it = Stopwatch(), Stopwatch()
        to_restore, to_compare = tee(reading.timed(clip.pairs()))
        frames = method.restore(_given(method, lq, truth) for lq, truth in to_restore)
        measurer, count = ClipMeasurer(), 0
        # Restored frames come first, so that all reading falls into the time of restoring.
        for restored, (lq, truth) in zip(all_of_it.timed(frames), to_compare, strict=True):
            guide = bicubic(lq, self.scale) if truth is None else truth
            measurer.add(restored, None if method.is_reference else truth, guide)
            write_png(folder / f'{count:08d}.png', restored)
            count += 1
            bar.update()
        if count != clip.num_frames:
            raise DataError(f'{clip.lq} gave {count} frames where {clip.num_frames} were expected')
        return ClipResult(
            method=method.name,
            group=clip.group,
            clip=clip.key,
            is_reference=method.is_reference,
            size=(restored.shape[0], restored.shape[1]),
            num_frames=count,
            settings=settings,
            notes=notes,
            seconds=None if method.is_reference else max(all_of_it.seconds - reading.seconds, 0.0),
            parameters=method.parameters,
            macs=method.macs((lq.shape[0], lq.shape[1])),
            figures=measurer.figures,
        )


def _given(method: Method, lq: np.ndarray, truth: np.ndarray | None) -> np.ndarray:
    """Which frame of a pair a method is given."""
    if method.source == 'lq':
        return lq
    assert truth is not None, f'{method.name} is for clips with ground truth'
    return truth
