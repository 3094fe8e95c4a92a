# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Numbers that hold where none are given; for the command line, nothing heavy is imported."""

# Frames that neighbouring windows share, and pixels that neighbouring tiles share.
OVERLAP = 16
TILE_OVERLAP = 64
# Frames that a stopped run loses at most, about: shorter segments cost bits, for each starts with
# a keyframe.
SEGMENT_FRAMES = 48
