# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Reading true optical flow, and showing flow in colour."""

from pathlib import Path

import cv2
import mmcv
import numpy as np

from ..errors import DataError

# Middlebury marks unknown flow by values beyond this.
_UNKNOWN = 1e9
_HEADER = 12


def read_flow(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a flow file: ``.flo`` (Middlebury) or 16-bit ``.png`` (KITTI).

    Args:
        path (str | Path): The file.

    Returns:
        tuple[np.ndarray, np.ndarray]: Flow (h, w, 2), float32, pixels, x first, 0 where it is
        unknown; and where it is known, (h, w), bool.

    Raises:
        DataError: The file is missing, cut short or no flow.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f'Cannot read the flow {path}: {error.strerror}.') from error
    if path.suffix.lower() == '.flo':
        flow = _read_flo(path, content)
        valid = (np.abs(flow) < _UNKNOWN).all(-1)
    elif path.suffix.lower() == '.png':
        flow, valid = _read_kitti(path, content)
    else:
        raise DataError(f'{path} is no flow file: .flo and KITTI .png are read.')
    return np.where(valid[..., None], flow, 0).astype(np.float32), valid


def _read_flo(path: Path, content: bytes) -> np.ndarray:
    if content[:4] != b'PIEH':
        raise DataError(
            f'{path} starts with {content[:4]!r} instead of the tag PIEH: it is no .flo file, or '
            'damaged. Copy it again.'
        )
    width, height = np.frombuffer(content[4:_HEADER].ljust(8, b'\0'), '<i4')
    needed = _HEADER + 8 * int(width) * int(height)
    if min(width, height) < 1 or len(content) != needed:
        raise DataError(
            f'{path} has {len(content)} bytes, but a flow of {width}x{height} has {needed}: it is '
            'cut short or damaged. Copy it again.'
        )
    return mmcv.flow_from_bytes(content)


def _read_kitti(path: Path, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    data = np.frombuffer(content, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None or image.dtype != np.uint16 or image.ndim != 3 or image.shape[2] != 3:
        found = 'cannot be read' if image is None else f'is {image.dtype} {image.shape}'
        raise DataError(
            f"{path} {found}; KITTI's flow is a PNG of three 16-bit channels. Copy it again."
        )
    flow, valid = mmcv.sparse_flow_from_bytes(content)
    return flow, valid > 0


def kitti_png(flow: np.ndarray, valid: np.ndarray) -> bytes:
    """Encode a flow as KITTI does: a PNG of 16 bits, in steps of 1/64 pixel.

    Args:
        flow (np.ndarray): (h, w, 2), pixels from -512 to below 512, x first; what is longer is cut.
        valid (np.ndarray): (h, w), bool: where it counts.

    Returns:
        bytes: The file, which :func:`read_flow` reads.
    """
    stored = np.clip(np.round(flow * 64 + 2**15), 0, 2**16 - 1)
    stored = np.concatenate((stored, valid[..., None]), -1).astype(np.uint16)
    return cv2.imencode('.png', stored[..., ::-1])[1].tobytes()


def flow_to_rgb(flow: np.ndarray, longest: float | None = None) -> np.ndarray:
    """Show a flow in the colours of the Middlebury benchmark, by mmcv.

    Args:
        flow (np.ndarray): (h, w, 2), pixels, x first.
        longest (float, optional): Length that gets full colour, so that several pictures can be
            compared. Defaults to None (the longest vector).

    Returns:
        np.ndarray: (h, w, 3), uint8, RGB; unknown flow (NaN or beyond 1e6) is black.
    """
    flow = flow.astype(np.float32)
    if longest is not None:
        norm = np.linalg.norm(flow, axis=-1, keepdims=True)
        flow = flow / np.maximum(norm / max(longest, 1e-6), 1)
        # One pixel that is cut off again sets the scale.
        flow = np.pad(flow, ((0, 1), (0, 0), (0, 0)))
        flow[-1, 0] = longest, 0
    rgb = np.round(255 * mmcv.flow2rgb(flow)).astype(np.uint8)
    return rgb if longest is None else rgb[:-1]
