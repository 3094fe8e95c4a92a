# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""State of an output's path, to find out later whether it has changed."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class OutputState:
    """What is at the place of an output.

    Attributes:
        identity (tuple[int, int, int], optional): Differs from that of any other file or folder
            there; None if there is nothing.
    """

    identity: tuple[int, int, int] | None

    @classmethod
    def of(cls, output: Path) -> 'OutputState':
        """Return the present state of an output."""
        try:
            status = output.stat()
        except OSError:
            return cls(None)
        return cls((status.st_ino, status.st_size, status.st_mtime_ns))
