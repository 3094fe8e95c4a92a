# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Pictures of a clip as its report shows them: where methods differ most, over time, motion."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np

from ..io.flow_files import flow_to_rgb
from ..ops.dis_flow import dis_flow
from .clips import ComparedClip
from .comparison import ClipResult
from .methods import NetworkMethod

# (height, width) in pixels: the block whose difference counts, what the crops show of it, and
# what the slider shows around it.
BLOCK = 48, 64
CROP = 96, 128
REGION = 360, 480
THUMB_WIDTH = 320
SEARCHED_FRAMES = 48
PROFILE_FRAMES = 300


class Box(NamedTuple):
    """A part of a frame, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, frame: np.ndarray) -> np.ndarray:
        """Cut it out."""
        return frame[self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass
class Moment:
    """A frame and the place in it where methods differ.

    Attributes:
        index (int): The frame's number.
        crop (Box): What the crops show.
        region (Box): What the slider shows.
        images (dict): The region, by method.
        thumb (np.ndarray): The whole frame, small.
        flows (dict): Optical flow of the whole frame in colour, by what it was computed with.
    """

    index: int
    crop: Box
    region: Box
    images: dict[str, np.ndarray]
    thumb: np.ndarray
    flows: dict[str, np.ndarray]


@dataclass
class ClipPictures:
    """All pictures of a clip.

    Attributes:
        moments (list[Moment]): Most different first.
        row (int): The row that the profiles show.
        left (int): Their first column.
        profiles (dict): (t, w, 3) by method: the row over time.
    """

    moments: list[Moment]
    row: int
    left: int
    profiles: dict[str, np.ndarray]

    def encoded(self, moments: int, quality: int | None) -> dict[str, Any]:
        """Return the pictures as data URIs, as the page reads them.

        Args:
            moments (int): How many moments at most.
            quality (int, optional): Of JPEG, to 100; None for PNG.
        """
        return {
            'moments': [
                {
                    'index': moment.index,
                    'crop': [
                        moment.crop.left - moment.region.left,
                        moment.crop.top - moment.region.top,
                        moment.crop.width,
                        moment.crop.height,
                    ],
                    'region': [moment.region.left, moment.region.top, *moment.region[:1:-1]],
                    'images': _uris(moment.images, quality),
                    'thumb': data_uri(moment.thumb, 85),
                    'flows': _uris(moment.flows, 90),
                }
                for moment in self.moments[:moments]
            ],
            'profile': {
                'row': self.row,
                'left': self.left,
                'images': _uris(self.profiles, quality),
            },
        }


def data_uri(image: np.ndarray, quality: int | None) -> str:
    """Return an RGB picture (h, w, 3), uint8, as PNG, or as JPEG of a quality."""
    kind, options = (
        ('png', []) if quality is None else ('jpeg', [cv2.IMWRITE_JPEG_QUALITY, quality])
    )
    encoded = cv2.imencode(f'.{kind}', np.ascontiguousarray(image[..., ::-1]), options)[1]
    return f'data:image/{kind};base64,' + base64.b64encode(encoded.tobytes()).decode()


def _uris(images: dict[str, np.ndarray], quality: int | None) -> dict[str, str]:
    return {name: data_uri(image, quality) for name, image in images.items()}


def clip_pictures(
    clip: ComparedClip,
    results: Sequence[ClipResult],
    networks: Sequence[NetworkMethod],
    scale: int,
    moments: int,
) -> ClipPictures:
    """Make the pictures of a clip.

    Args:
        clip (ComparedClip): The clip.
        results (Sequence[ClipResult]): What each method made of it.
        networks (Sequence[NetworkMethod]): For the flow that they compute themselves.
        scale (int): Size of restored frames over that of the input.
        moments (int): How many frames to show at most.

    Returns:
        ClipPictures: The pictures.
    """
    by_name = {result.method: result for result in results}
    guide = next((result for result in results if result.is_reference), results[0])
    size = guide.size
    shown = []
    for index, block in _places(results, {n.name for n in networks}, moments):
        frames = {name: result.read(index) for name, result in by_name.items()}
        region = _around(block, REGION, size)
        shown.append(
            Moment(
                index=index,
                crop=_around(block, CROP, size),
                region=region,
                images={name: region.of(frame).copy() for name, frame in frames.items()},
                thumb=_small(frames[guide.method]),
                flows=_flows(clip, guide, networks, scale, index),
            )
        )
    first = shown[0]
    row = first.crop.top + first.crop.height // 2
    line = Box(row, first.region.left, 1, first.region.width)
    length = min(guide.num_frames, PROFILE_FRAMES)
    profiles = {
        name: np.concatenate([line.of(result.read(index)) for index in range(length)])
        for name, result in by_name.items()
    }
    return ClipPictures(shown, row, line.left, profiles)


def _places(
    results: Sequence[ClipResult], networks: set[str], moments: int
) -> list[tuple[int, Box]]:
    """Frames, apart in time, and the block in each where the methods differ most.

    With several networks their own differences count, with one those from the baseline.
    """
    candidates = [result for result in results if not result.is_reference]
    if len(networks) > 1:
        candidates = [result for result in candidates if result.method in networks]
    (height, width), length = results[0].size, results[0].num_frames
    rows, columns = min(BLOCK[0], height), min(BLOCK[1], width)
    found = []
    for index in np.unique(np.linspace(0, length - 1, SEARCHED_FRAMES).round().astype(int)):
        frames = np.stack([result.read(int(index)) for result in candidates])
        spread = np.ptp(frames.astype(np.float32), axis=0).mean(-1)
        sums = cv2.integral(spread)
        blocks = (sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns]) + sums[
            :-rows, :-columns
        ]
        top, left = np.unravel_index(blocks.argmax(), blocks.shape)
        found.append((float(blocks.max()), int(index), Box(int(top), int(left), rows, columns)))
    chosen: list[tuple[int, Box]] = []
    for _, index, block in sorted(found, key=lambda item: -item[0]):
        apart = all(abs(index - other) * (moments + 1) >= length for other, _ in chosen)
        if len(chosen) < moments and apart:
            chosen.append((index, block))
    return chosen


def _around(block: Box, wanted: tuple[int, int], size: tuple[int, int]) -> Box:
    """Return a larger box around the middle of a block, inside the frame."""
    height, width = (min(a, b) for a, b in zip(wanted, size, strict=True))
    top = block.top + block.height // 2 - height // 2
    left = block.left + block.width // 2 - width // 2
    return Box(
        min(max(top, 0), size[0] - height), min(max(left, 0), size[1] - width), height, width
    )


def _small(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    if width <= THUMB_WIDTH:
        return frame
    size = THUMB_WIDTH, max(1, round(height * THUMB_WIDTH / width))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


def _flows(
    clip: ComparedClip,
    guide: ClipResult,
    networks: Sequence[NetworkMethod],
    scale: int,
    index: int,
) -> dict[str, np.ndarray]:
    """Flow from a frame to the next one (of the last frame, from the one before), in colour."""
    if guide.num_frames == 1:
        return {}
    pair = [min(index, guide.num_frames - 2) + step for step in (0, 1)]
    dis = dis_flow(guide.read(pair[0]), guide.read(pair[1]))
    longest = max(float(np.quantile(np.linalg.norm(dis, axis=-1), 0.99)), 1.0)
    on = 'ground truth' if guide.is_reference else 'the enlarged input'
    flows = {f'DIS on {on if scale > 1 or clip.gt else "the input"}': flow_to_rgb(dis, longest)}
    degraded = clip.degraded(pair)
    for network in networks:
        flow = network.flow(*degraded)
        if flow is not None:
            flows[f'{network.name}, its own on the input'] = flow_to_rgb(flow, longest / scale)
    return {name: _small(picture) for name, picture in flows.items()}
