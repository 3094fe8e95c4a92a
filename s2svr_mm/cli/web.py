# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""``s2svr web``: serve a page that restores videos."""

import argparse
import sys
from pathlib import Path

from ..errors import MissingPackageError
from .arguments import memory_size, whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        'Serve a page on this machine: drop a video on it, preview, restore, watch input and '
        "result side by side. Needs the extra web: pip install 's2svr_mm[web]'."
    )
    parser.add_argument(
        '--folder',
        default='s2svr_web',
        metavar='DIR',
        help='folder for uploads, jobs and results (default: %(default)s)',
    )
    parser.add_argument(
        '--root',
        default='.',
        metavar='DIR',
        help='folder from which videos on this machine can be picked (default: the current one)',
    )
    parser.add_argument(
        '--host', default='127.0.0.1', help='address to listen on (default: %(default)s)'
    )
    parser.add_argument(
        '--port',
        type=whole_number(0),
        default=8017,
        help='port to listen on, 0 for any free one (default: %(default)s)',
    )
    parser.add_argument(
        '--max-upload',
        type=memory_size,
        default='20G',
        metavar='SIZE',
        help='largest upload (default: %(default)s)',
    )
    parser.add_argument('--open', action='store_true', help='open the page in the browser')


def run(args: argparse.Namespace) -> None:
    """Serve the page until interrupted."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(
            f"s2svr web needs {error.name}, which is not installed: pip install 's2svr_mm[web]'"
        ) from error
    # What is imported next takes seconds.
    print(f'starting; jobs lie in {args.folder}', file=sys.stderr, flush=True)
    from ..registration import register

    register()
    from ..web.serving import serve

    serve(Path(args.folder), Path(args.root), args.host, args.port, args.max_upload, args.open)
