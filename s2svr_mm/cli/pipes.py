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
# Options that concern files alone.
_OF_FILES = ('codec', 'crf', 'preset', 'compare', 'devices')
_OF_FILE_INPUT = ('fps', 'yuv_size')


def run_pipe(args: argparse.Namespace) -> bool:
    """Restore from or to a pipe.

    Args:
        args (argparse.Namespace): Arguments of ``s2svr restore``, with ``-`` as SRC, DST or both.

    Returns:
        bool: Whether the input is damaged.

    Raises:
        ConfigError: Something else is asked for than a pipe can do.
    """
    _check(args)
    with _binary_output() as target:
        from ..registration import register

        register()
        from ..io.clips import open_reader
        from ..io.y4m import Y4MReader
        from ..restoration.pipes import restore_stream

        # What can't be read is said before a network is loaded, which takes seconds.
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
    given = [name for name in _OF_FILES if getattr(args, name) not in (None, [], ())]
    if args.launcher != 'none':
        given.append('launcher')
    if args.src == PIPE:
        given += [name for name in _OF_FILE_INPUT if getattr(args, name) is not None]
    if args.size_change != 'stop':
        given.append('size-change')
    if given:
        option = given[0].replace('_', '-')
        raise ConfigError(
            f'--{option} is for files; what is written to a pipe is y4m, and what comes from one '
            'states its size and rate'
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
        raise ConfigError('frames can not be written to a terminal: add | ffmpeg -i - out.mp4')
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
