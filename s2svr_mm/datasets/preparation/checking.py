# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Checking the clips of a download without decoding them."""

import os
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from ...errors import DataError
from ...io.clips import open_reader
from ...io.images import ImageReader
from ...io.paths import YUV_SUFFIXES, suffix_of
from .recipes import Part

_ENDINGS = {'.png': b'IEND\xaeB`\x82', '.jpg': b'\xff\xd9', '.jpeg': b'\xff\xd9'}


def check_clip(part: Part, name: str, source: Path) -> tuple[str, bool]:
    """Check a clip of a download: its length, its frames' sizes, and that no file is cut off.

    Args:
        part (Part): What it must be.
        name (str): Its name.
        source (Path): A folder of frames or a YUV file.

    Returns:
        tuple[str, bool]: What is wrong (empty if nothing is), and whether the clip is whole
        although it may differ from the published one.
    """
    try:
        clip = open_reader(str(source))
        images = clip.files() if isinstance(clip, ImageReader) else []
        sizes = {frame_size(image) for image in images}
    except (DataError, OSError) as error:
        return str(error), False
    wanted = part.num_frames[name] if isinstance(part.num_frames, Mapping) else part.num_frames
    if suffix_of(str(source)) in YUV_SUFFIXES and (number := name.split('_')[-1]).isdigit():
        wanted = int(number)
    if wanted not in (None, clip.num_frames):
        return f'{source} has {clip.num_frames} frames instead of {wanted}', True
    if part.size is not None and sizes - {part.size}:
        (height, width), (h, w) = part.size, min(sizes - {part.size})
        return f'{source} has frames of {w}x{h} instead of {width}x{height}', True
    return '', True


def frame_size(path: str) -> tuple[int, int]:
    """Read the size of an image file from its header and check that the file has its end.

    Args:
        path (str): The file.

    Returns:
        tuple[int, int]: Height and width.

    Raises:
        DataError: The file is damaged or cut off.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
        with open(path, 'rb') as file:
            file.seek(-16, os.SEEK_END)
            end = file.read()
    except OSError as error:
        raise DataError(f'{path} is damaged: {error}') from error
    if _ENDINGS.get(suffix_of(path), b'') not in end:
        raise DataError(f'{path} is cut off')
    return height, width
