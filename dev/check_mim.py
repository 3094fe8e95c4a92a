# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Show that ``mim train`` and ``mim test`` work on the installed package.

Builds an sdist, a wheel from it, and installs that into a scratch environment together with mim;
the rest of the stack is seen through from the environment that runs this. Then trains a tiny model
for a few iterations on clips made up for it, and tests the checkpoint. Needs a package index for
mim itself: python dev/check_mim.py
"""

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
# mim declares more, among it what would replace setuptools; this is what it imports.
MIM = ('openmim==0.3.9', 'model-index', 'ordered-set', 'tabulate', 'colorama')
OPTIONS = (
    'model.generator.mid_channels=4',
    'model.generator.num_blocks=1',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'train_dataloader.dataset.data_root=clips',
    'train_dataloader.dataset.pipeline.1.gt_patch_size=64',
    'val_dataloader.dataset.data_root=clips',
    'test_dataloader.dataset.data_root=clips',
    'train_cfg.max_iters=2',
    'train_cfg.val_interval=2',
    'default_hooks.checkpoint.interval=2',
)


def main() -> None:
    """Build, install, train, test; any failure ends with its command's exit code."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix='check_mim_') as folder:
        work = Path(folder)
        wheel = build_wheel(ROOT, work)
        mim = install(work, wheel)
        write_clips(work / 'clips')
        options = ('--gpus', '0', '--cfg-options', *OPTIONS)
        config = ('s2svr_mm', 's2svr_demo.py')
        run(mim, 'train', *config, '--work-dir', 'run', *options, cwd=work)
        checkpoint = ('--checkpoint', 'run/iter_2.pth')
        run(mim, 'test', *config, *checkpoint, '--out', 'metrics.json', *options, cwd=work)
        print((work / 'metrics.json').read_text())
    print('mim train and mim test work on the installed package.')


def build_wheel(source: Path, work: Path) -> Path:
    """Build a wheel of a checkout, by way of an sdist: it holds nothing that the sdist lacks."""
    script = f'from setuptools import build_meta; build_meta.build_sdist({str(work)!r})'
    run(sys.executable, '-c', script, cwd=source)
    (sdist,) = work.glob('*.tar.gz')
    run(
        sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', '-w', work, sdist
    )
    return next(work.glob('*.whl'))


def install(work: Path, wheel: Path) -> Path:
    """Install the wheel and mim into an environment that sees this one's packages.

    Returns:
        The command ``mim`` of that environment.
    """
    venv = work / 'venv'
    run(sys.executable, '-m', 'venv', venv)
    scheme = {'base': str(venv), 'platbase': str(venv)}
    site_packages = Path(sysconfig.get_path('purelib', 'venv', scheme))
    # With what its own .pth files do: on Python 3.12 setuptools provides distutils by one.
    stack = f'import site; site.addsitedir({sysconfig.get_path("purelib")!r})\n'
    (site_packages / 'stack.pth').write_text(stack)
    run(venv / 'bin' / 'python', '-m', 'pip', 'install', '--no-deps', wheel, *MIM)
    return venv / 'bin' / 'mim'


def write_clips(root: Path) -> None:
    """Write one clip of noise, drifting by 2 pixels a frame, for training and validation."""
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    for index in range(5):
        gt = cv2.blur(noise, (5, 5))[8:88, 2 * index : 2 * index + 96]
        lq = cv2.resize(gt, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        for split in ('train', 'val'):
            for kind, frame in (('gt', gt), ('lq', lq)):
                folder = root / split / kind / 'noise'
                folder.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(folder / f'{index:08d}.png'), frame)


def run(*command: str | Path, cwd: Path | None = None) -> None:
    """Run a command, shown before; end with its exit code if it fails."""
    print('$', *command, flush=True)
    # Neither the checkout nor a caller's path may stand in for what is installed.
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    status = subprocess.run(command, cwd=cwd, env=environment).returncode
    if status:
        sys.exit(f'failed with exit code {status}: {" ".join(map(str, command))}')


if __name__ == '__main__':
    main()
