# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""A small video, and a page to restore it on."""

import pytest
from helpers.clips import moving_clip
from helpers.videos import write_movie


@pytest.fixture
def video(tmp_path):
    """A video of 12 frames, 64x48, in the folder that videos are picked from."""
    root = tmp_path / 'root'
    root.mkdir()
    return write_movie(root / 'walk.mp4', moving_clip(12, 48, 64))


@pytest.fixture
def site(tmp_path, video):
    for package in ('starlette', 'uvicorn', 'httpx2'):
        reason = f'{package} is missing: pip install starlette uvicorn httpx2'
        pytest.importorskip(package, reason=reason)
    from helpers.web import Site

    folder = tmp_path / 's2svr_web'
    folder.mkdir()
    return Site(folder, video.parent)
