# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Read and write clips: videos, folders of frames, raw YUV, flow."""

import gc
import os

# FFmpeg's objects wait for their threads when they are freed, and a forked process has none of
# its parent's. So the collector of a forked worker leaves alone what the parent left behind.
if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=gc.freeze)
