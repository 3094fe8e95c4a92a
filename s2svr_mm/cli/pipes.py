# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""``s2svr restore - -``: YUV4MPEG2 from standard input and to standard output."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from ..errors import ConfigError, DataError
from .arguments import load_restorer

PIPE = '-'
# Options that concern files alone, or input from files.
_OF_FILES = (
    *('codec', 'crf', 'preset', 'without', 'compare', 'compare_mode', 'overwrite', 'segment'),
    *('devices', 'launcher', 'size_change', 'pattern', 'skip_existing'),
)
_OF_FILE_INPUT = ('fps', 'yuv_size', 'strict')


def run_pipe(args: argparse.Namespace) -> bool:
    """Restore from or to a pipe.

    Args:
        args (argparse.Namespace): Arguments of ``s2svr restore``, with ``-`` as SRC, DST or both.

    Returns:
        bool: Whether the input is damaged.

    Raises:
        ConfigError: An option does not apply to a pipe, or the output is a file or a terminal.
    """
    _check(args)
    with _binary_output() as target:
        from ..registration import register

        register()
        from ..io.clips import open_reader
        from ..io.y4m import Y4MReader
        from ..restoration.pipes import restore_stream

        # An unreadable input is reported before a network is loaded, which takes seconds.
        source = (
            Y4MReader(_binary_input())
            if args.src == PIPE
            else open_reader(args.src, args.fps, args.yuv_size, args.strict)
        )
        restorer = load_restorer(args, source.info.size)
        summary = restore_stream(
            source, target, restorer, args.frames, args.pix_fmt, progress=not args.quiet
        )
    print(summary, file=sys.stderr)
    return summary.damage is not None


def _check(args: argparse.Namespace) -> None:
    if args.dst != PIPE:
        raise ConfigError(
            f'frames from a pipe go to a pipe: s2svr restore - - | ffmpeg -i - {args.dst}'
        )
    for name in (*_OF_FILES, *(_OF_FILE_INPUT if args.src == PIPE else ())):
        if getattr(args, name) != args.defaults[name]:
            raise ConfigError(
                f'--{name.replace("_", "-")} has no effect on a pipe: leave it out. Pipes carry '
                'y4m, whose header states size and rate'
            )


def _binary_input() -> BinaryIO:
    if sys.stdin is None or sys.stdin.isatty():
        raise DataError(
            'standard input is a terminal: send y4m, such as ffmpeg -i in.mp4 -f yuv4mpegpipe - | '
            's2svr restore - -'
        )
    return sys.stdin.buffer


@contextmanager
def _binary_output() -> Iterator[BinaryIO]:
    """Keep standard output for frames alone; whatever is printed meanwhile goes to stderr."""
    if os.isatty(1):
        raise ConfigError('frames cannot be written to a terminal: add | ffmpeg -i - out.mp4')
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(kept), 'wb') as file:
            yield file
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
