# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Restoring files with networks that change nothing."""

import av
from torch import nn

from s2svr_mm.restoration.options import OutputOptions
from s2svr_mm.restoration.restore_video import restore_video
from s2svr_mm.restoration.restorer import VideoRestorer

# Uneven times of 18 frames, in ms.
UNEVEN = [0, 40, 60, 130, 170, 190, 260, 300, 320, 390, 430, 450, 520, 560, 580, 650, 690, 710]


class Same(nn.Module):
    """Gives back what it gets, enlarged by repeating pixels."""

    def __init__(self, scale=1):
        super().__init__()
        self.scale = scale

    def forward(self, x):
        return x.repeat_interleave(self.scale, -1).repeat_interleave(self.scale, -2)


class Stop(nn.Module):
    """Changes nothing and is interrupted when its time has come."""

    def __init__(self, calls):
        super().__init__()
        self.calls = calls

    def forward(self, x):
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt
        return x


def restorer_of(network=None, **kwargs):
    settings = dict(device='cpu', dtype='float32', window=6, overlap=4, tile=0)
    return VideoRestorer(network or Same(), **{**settings, **kwargs})


def run(
    src,
    dst,
    network=None,
    frames=(0, None),
    rate=None,
    yuv_size=None,
    size_change='stop',
    **options,
):
    return restore_video(
        src,
        dst,
        restorer_of(network),
        frames=frames,
        rate=rate,
        yuv_size=yuv_size,
        size_change=size_change,
        options=OutputOptions(**options),
        progress=False,
    )


def content(path):
    """All that an output holds, apart from a container's random identifiers."""
    if path.is_dir():
        return {file.name: file.read_bytes() for file in path.glob('*.png')}
    with av.open(str(path)) as container:
        return [(p.stream.index, p.pts, p.dts, bytes(p)) for p in container.demux() if p.size]


def files_below(folder):
    """Content of all files below a folder that are not this package's own, by path."""
    paths = (path for path in sorted(folder.rglob('*')) if path.is_file())
    inside = ((path.relative_to(folder), path) for path in paths)
    return {str(name): p.read_bytes() for name, p in inside if '.s2svr_mm' not in name.parts}
