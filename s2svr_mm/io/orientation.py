# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""How pictures are turned and mirrored to stand upright: display matrices and EXIF."""

import struct
from dataclasses import dataclass

import numpy as np

# The numbers are of 16.16 bits.
_UNIT = 1.0 / 65536


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to turn and mirror a picture.

    Attributes:
        transpose: Whether rows become columns, before anything is mirrored.
        mirror: Whether left and right are exchanged then.
        flip: Whether top and bottom are exchanged then.
    """

    transpose: bool = False
    mirror: bool = False
    flip: bool = False

    def apply(self, picture: np.ndarray) -> np.ndarray:
        """Turn a picture upright.

        Args:
            picture: (h, w, c).

        Returns:
            (h, w, c) or (w, h, c), contiguous.
        """
        if self.transpose:
            picture = picture.swapaxes(0, 1)
        if self.mirror:
            picture = picture[:, ::-1]
        if self.flip:
            picture = picture[::-1]
        return np.ascontiguousarray(picture)


# By the value of EXIF's tag 274.
_EXIF = {
    2: Orientation(mirror=True),
    3: Orientation(mirror=True, flip=True),
    4: Orientation(flip=True),
    5: Orientation(transpose=True),
    6: Orientation(transpose=True, mirror=True),
    7: Orientation(transpose=True, mirror=True, flip=True),
    8: Orientation(transpose=True, flip=True),
}


def from_exif(value: int) -> Orientation:
    """Return the orientation that EXIF's tag 274 asks for; any unknown value asks for none."""
    return _EXIF.get(value, Orientation())


def from_display_matrix(data: bytes) -> Orientation | None:
    """Return the orientation that a video's display matrix asks for.

    Args:
        data: FFmpeg's nine 32-bit numbers: a b u, c d v, x y w. A pixel (x, y) is shown at
            (a x + c y, b x + d y), moved to where it is seen.

    Returns:
        The orientation, whatever the scale; None if the matrix is none of the eight.
    """
    if len(data) < 36:
        return None
    a, b, _, c, d, *_ = (value * _UNIT for value in struct.unpack('=9i', data[:36]))
    straight, across = min(abs(a), abs(d)), min(abs(b), abs(c))
    # Within a degree or so: no player shows a video that is tilted by less.
    if straight > 0 and max(abs(b), abs(c)) < 0.02 * straight:
        return Orientation(mirror=a < 0, flip=d < 0)
    if across > 0 and max(abs(a), abs(d)) < 0.02 * across:
        return Orientation(transpose=True, mirror=c < 0, flip=b < 0)
    return None
