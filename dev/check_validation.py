# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Measure the memory of testing by the number of frames of a clip."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
TEST = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
from mmengine.config import Config
from s2svr_mm import register
register()
from mmagic.registry import MODELS
from mmengine.registry import init_default_scope
from s2svr_mm.training.runner import run_test
from s2svr_mm.utils.memory import peak_host_memory

init_default_scope('mmagic')
torch.manual_seed(0)
cfg = Config.fromfile(sys.argv[2])
torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), 'weights.pth')
start = peak_host_memory()
run_test(cfg, 'weights.pth', 'metrics.json')
print(peak_host_memory(), start)
"""
CONFIG = """
_base_ = ['{configs}/_base_/default_runtime.py', '{configs}/_base_/models/s2svr.py']
model = dict(
    generator=dict(
        mid_channels=8,
        num_blocks=1,
        num_layers=2,
        flow_estimator=dict(_delete_=True, type='ZeroFlow'),
    ),
    train_cfg=dict(fix_iter=0),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='VideoClipDataset',
        data_prefix=dict(gt='clip.mp4'),
        test_mode=True,
        pipeline=[
            dict(type='LoadClip'),
            dict(type='BicubicDownsample', scale=4),
            dict(type='PackInputs', meta_keys=['key']),
        ],
    ),
)
test_evaluator = dict(metrics=[dict(type='PSNR'), dict(type='SSIM')])
test_cfg = dict(type='WindowedTestLoop', window={window}, overlap={overlap})
work_dir, launcher = 'work', 'none'
"""


def main() -> None:
    """Print a table, each line from a process of its own."""
    parser = argparse.ArgumentParser(description='Measure the memory of testing.')
    parser.add_argument('--lengths', type=int, nargs='+', default=[40, 160, 1600])
    parser.add_argument('--size', type=int, nargs=2, default=(256, 192), metavar=('W', 'H'))
    parser.add_argument('--window', type=int, help='default: by memory; 0: whole clips')
    parser.add_argument('--overlap', type=int)
    args = parser.parse_args()
    print('frames  peak memory MB  x that of 160  testing MB  x that of 160     PSNR')
    peaks: dict[int, tuple[int, int]] = {}
    for length in args.lengths:
        with tempfile.TemporaryDirectory() as folder:
            write_clip(Path(folder), length, *args.size)
            text = CONFIG.format(
                configs=CHECKOUT / 'configs', window=args.window, overlap=args.overlap
            )
            (Path(folder) / 'config.py').write_text(text)
            command = [sys.executable, '-c', TEST, str(CHECKOUT), 'config.py']
            done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE)
            peak, start = map(int, done.stdout.split()[-2:])
            figure = json.loads((Path(folder) / 'metrics.json').read_text())['PSNR']
        peaks[length] = peak, peak - start
        cells = []
        for value, reference in zip(peaks[length], peaks.get(160, (0, 0)), strict=True):
            ratio = f'{value / reference:.3f}' if reference else ''
            cells.append(f'{value / 2**20:.1f}  {ratio:>13}')
        print(f'{length:6d}  {cells[0]:>29}  {cells[1]:>25}  {figure:7.3f}', flush=True)


def write_clip(folder: Path, length: int, width: int, height: int) -> None:
    """Write a made-up clip."""
    from fractions import Fraction

    import av
    import numpy as np

    with av.open(str(folder / 'clip.mp4'), 'w') as container:
        video = container.add_stream('libx264', rate=Fraction(25))
        video.width, video.height = width, height
        y, x = np.mgrid[:height, :width]
        for index in range(length):
            wave = 127 + 100 * np.sin((x + index) / 5) * np.cos(y / 4)
            rgb = np.repeat(wave[..., None], 3, 2).astype(np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(rgb, format='rgb24')))
        container.mux(video.encode())


if __name__ == '__main__':
    main()
