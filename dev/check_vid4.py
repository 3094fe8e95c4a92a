# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Check tools/test.py on Vid4: BasicVSR measured again, clip by clip, in another way.

Network and weights are mmagic's and the published ones. Everything else is computed here from the
ground truth alone: low resolution, luma, PSNR; scikit-image gives SSIM.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

CHECKOUT = Path(__file__).resolve().parents[1]
SCALE = 4
# Chan et al., "BasicVSR", CVPR 2021, tables 1 and 2: Vid4, Y.
PUBLISHED = dict(bi=dict(PSNR=27.24, SSIM=0.8251), bd=dict(PSNR=27.96, SSIM=0.8553))
MOST_FROM_TEST = dict(PSNR=0.005, SSIM=0.0002)
MOST_FROM_PUBLISHED = dict(PSNR=0.1, SSIM=0.003)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Measure BasicVSR on Vid4 apart from the runner, and compare with what '
        'tools/test.py --out wrote and with the published figures.'
    )
    parser.add_argument('degradation', choices=list(PUBLISHED))
    parser.add_argument('checkpoint', help="mmagic's BasicVSR, from tools/convert_weights.py")
    parser.add_argument('metrics', help='what tools/test.py --out wrote for this checkpoint')
    parser.add_argument('--gt', type=Path, default='data/Vid4/GT', help='default: %(default)s')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args()


def main() -> None:
    """Check."""
    args = parse_args()
    sys.path.insert(0, str(CHECKOUT))
    from s2svr_mm.cli.reporting import exit_on_user_error
    from s2svr_mm.errors import DataError

    with exit_on_user_error(args.debug):
        tested = json.loads(Path(args.metrics).read_text()).get('clips')
        if tested is None:
            raise DataError(f'{args.metrics} has no figures of clips: test with Vid4 alone.')
        network = load_network(args.checkpoint)
        print(f'{"":12} {"frames":>6}  {"tools/test.py":>16}  {"here":>16}  {"difference":>16}')
        measured = {}
        for clip, figures in tested.items():
            frames = read_frames(args.gt / clip)
            if len(frames) != figures['frames']:
                raise DataError(
                    f'{args.gt / clip} has {len(frames)} frames, but {args.metrics} is of '
                    f'{figures["frames"]}: both must be of the same clips.'
                )
            measured[clip] = measure(restore(network, frames, args.degradation), frames)
            print_line(clip, figures, measured[clip])
        agree = all(near(tested[clip], measured[clip], MOST_FROM_TEST) for clip in tested)
        total = sum(figures['frames'] for figures in tested.values())
        mean, mean_here = (average(list(clips.values())) for clips in (tested, measured))
        print_line('mean', dict(frames=total, **mean), mean_here)
        published = PUBLISHED[args.degradation]
        print(f'{"published":12} {171:6}  {published["PSNR"]:7.2f}  {published["SSIM"]:.4f}')
        as_published = near(published, mean, MOST_FROM_PUBLISHED)
        print(f'Both ways agree: {agree}. As published: {as_published}.')
        sys.exit(0 if agree and as_published else 1)


def load_network(checkpoint: str):
    """Load mmagic's network, of the size that the weights have."""
    import torch
    from mmagic.models.editors import BasicVSRNet

    from s2svr_mm.checkpoints.files import read_weights
    from s2svr_mm.checkpoints.matching import load_into

    weights = read_weights(checkpoint)
    fusion = [value for name, value in weights.items() if name.endswith('fusion.weight')]
    blocks = [k for k in weights if 'forward_resblocks' in k and k.endswith('conv1.weight')]
    network = BasicVSRNet(len(fusion[0]) if fusion else 64, len(blocks) or 1)
    load_into(network, weights, checkpoint)
    return network.eval().to(memory_format=torch.channels_last)


def read_frames(folder: Path) -> np.ndarray:
    """Read a folder of images: (t, h, w, 3), RGB, float64 in [0, 255]."""
    from s2svr_mm.errors import DataError

    paths = sorted(folder.glob('*.png'))
    if not paths:
        raise DataError(f'{folder} holds no PNG images. Give the folder of the clips as --gt.')
    return np.stack([np.asarray(Image.open(path).convert('RGB'), np.float64) for path in paths])


def restore(network, frames: np.ndarray, degradation: str) -> np.ndarray:
    """Downsample a clip and restores it: frames in, frames of the same shape out."""
    import torch

    rows, columns = (downsampling(size, degradation) for size in frames.shape[1:3])
    low = np.einsum('yh,thwc,xw->tcyx', rows, frames, columns, optimize=True)
    low = np.clip(np.round(low), 0, 255).astype(np.float32)  # 8 bits, as an image file has
    with torch.inference_mode():
        restored = network(torch.from_numpy(low / 255)[None])[0]
    return np.clip(255 * restored.permute(0, 2, 3, 1).double().numpy(), 0, 255)


def downsampling(size: int, degradation: str) -> np.ndarray:
    """Return the matrix (size / 4, size) that downsamples a column or a row.

    Both kinds take their samples in the middle of 4 pixels. BI: the cubic of Keys (1981) with
    a = -1/2, widened by 4, borders mirrored, as MATLAB's imresize. BD: a Gaussian of sigma 1.6 over
    12 pixels, borders repeated, as BD_degradation.m of ckkelvinchan/BasicVSR-IconVSR.
    """
    width = dict(bi=16, bd=12)[degradation]
    middles = SCALE * np.arange(size // SCALE) + (SCALE - 1) / 2
    places = (middles - (width - 1) / 2).astype(int)[:, None] + np.arange(width)
    distance = np.abs(places - middles[:, None])
    if degradation == 'bi':
        d = distance / SCALE
        near_part, far_part = 1.5 * d**3 - 2.5 * d**2 + 1, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
        weights = np.where(d <= 1, near_part, far_part)
        places = np.where(places < 0, -1 - places, np.minimum(places, 2 * size - 1 - places))
    else:
        weights = np.exp(-(distance**2) / (2 * 1.6**2))
        places = places.clip(0, size - 1)
    matrix = np.zeros((size // SCALE, size))
    np.add.at(matrix, (np.arange(size // SCALE)[:, None], places), weights)
    return matrix / matrix.sum(1, keepdims=True)


def measure(restored: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """PSNR and SSIM of the luma (BT.601), averaged over the frames of a clip."""
    from skimage.metrics import structural_similarity

    figures = []
    for pair in zip(restored, truth, strict=True):
        a, b = (16 + frame @ np.array([65.481, 128.553, 24.966]) / 255 for frame in pair)
        options = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
        ssim = structural_similarity(a, b, data_range=255, **options)
        figures.append(dict(PSNR=10 * np.log10(255**2 / np.mean((a - b) ** 2)), SSIM=ssim))
    return average(figures)


def average(figures: list[dict[str, float]]) -> dict[str, float]:
    """Average PSNR and SSIM, each by itself."""
    return {name: float(np.mean([f[name] for f in figures])) for name in ('PSNR', 'SSIM')}


def near(a: dict[str, float], b: dict[str, float], most: dict[str, float]) -> bool:
    """Whether figures differ by no more than ``most``."""
    return all(abs(a[name] - b[name]) <= limit for name, limit in most.items())


def print_line(name: str, first: dict[str, float], second: dict[str, float]) -> None:
    """Print two pairs of figures and how they differ."""
    psnr, ssim = (second[metric] - first[metric] for metric in ('PSNR', 'SSIM'))
    print(
        f'{name:12} {first["frames"]:6}  {first["PSNR"]:7.4f}  {first["SSIM"]:.5f}'
        f'  {second["PSNR"]:7.4f}  {second["SSIM"]:.5f}  {psnr:+7.4f}  {ssim:+.5f}',
        flush=True,
    )


if __name__ == '__main__':
    main()
