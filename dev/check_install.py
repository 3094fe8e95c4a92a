# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Show that the package installs from its wheel and restores, in an environment that was empty.

Builds an sdist and a wheel from it, has twine check both, installs the wheel by pip and nothing
more, and restores four frames, once by the command ``s2svr`` and once from Python. The environment
is all that is in the PATH: no compiler, no ffmpeg. With --mmcv, it has an mmcv with compiled
operators before (a version, or a wheel for this Python), and must keep it. Needs a package index:
python dev/check_install.py [--mmcv WHEEL]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from check_mim import build_wheel, run

FRAMES = 4
# Restores a folder of frames and compares with what the command made of it.
SCRIPT = """
import sys
from pathlib import Path

import cv2
import numpy as np
import s2svr_mm

s2svr_mm.restore_video('in', 'python', 's2svr_s_x4')
for made in ('command', 'python'):
    frames = [cv2.imread(str(path)) for path in sorted(Path(made).glob('*.png'))]
    assert [frame.shape for frame in frames] == [(144, 192, 3)] * 4, made
    assert all(frame.std() > 10 for frame in frames), made
    if made == 'command':
        expected = frames
assert all(np.array_equal(a, b) for a, b in zip(frames, expected, strict=True))
"""
OPERATORS = """
import json, s2svr_mm, mmcv._ext
from s2svr_mm.compat import stand_in
print(json.dumps(stand_in() is None))
"""


def main() -> None:
    """Build, check, install, restore; any failure ends with its command's exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--mmcv', help='install this mmcv first, and torch for it')
    parser.add_argument('--constraint', help='passed to pip: versions that may be installed')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix='check_install_') as folder:
        work = Path(folder)
        wheel = build_wheel(Path(__file__).resolve().parents[1], work)
        check_distributions(work)
        python = create_venv(work / 'venv')
        os.environ['PATH'] = str(python.parent)
        options = ('-c', args.constraint) if args.constraint else ()
        if args.mmcv:
            install_beside_mmcv(python, wheel, args.mmcv, options)
        else:
            run(python, '-m', 'pip', 'install', *options, wheel)
            run(python, '-m', 'pip', 'check')
        write_frames(work / 'in')
        command = python.parent / 's2svr'
        run(command, 'doctor', cwd=work)
        run(command, 'restore', 'in', 'command', '--model', 's2svr_s_x4', cwd=work)
        run(python, '-c', SCRIPT, cwd=work)
        compiled = json.loads(subprocess.check_output([python, '-c', OPERATORS], cwd=work))
        if compiled != bool(args.mmcv):
            sys.exit(f'compiled operators are in use: {compiled}')
    print('The package installs from its wheel and restores.')


def create_venv(folder: Path) -> Path:
    """Create an environment with pip alone; return its Python."""
    run(sys.executable, '-m', 'venv', folder)
    return folder / 'bin' / 'python'


def check_distributions(work: Path) -> None:
    """Have twine check the sdist and the wheel."""
    python = create_venv(work / 'twine')
    run(python, '-m', 'pip', 'install', '--quiet', 'twine')
    run(python, '-m', 'twine', 'check', '--strict', *work.glob('s2svr_mm-*'))


def install_beside_mmcv(python: Path, wheel: Path, mmcv: str, options: tuple[str, ...]) -> None:
    """Install beside a compiled mmcv: all that is required but mmcv-lite."""
    run(python, '-m', 'pip', 'install', *options, 'torch', 'torchvision', 'numpy<2', mmcv)
    run(python, '-m', 'pip', 'install', '--no-deps', wheel)
    script = (
        'from s2svr_mm.compat.stack import read_bounds\n'
        "print(*(b.requirement for n, b in read_bounds().items() if n != 'mmcv-lite'), sep='\\n')"
    )
    requirements = wheel.parent / 'requirements.txt'
    done = subprocess.check_output(
        [python, '-c', script], cwd=wheel.parent, env={'S2SVR_MM_REGISTER': '0'}, text=True
    )
    requirements.write_text(done)
    run(python, '-m', 'pip', 'install', *options, '-r', requirements)


def write_frames(folder: Path) -> None:
    """Write four small frames of noise that drifts by a pixel a frame."""
    folder.mkdir()
    coarse = np.random.default_rng(0).integers(0, 256, (9, 16, 3), np.uint8)
    noise = cv2.resize(coarse, (64, 36), interpolation=cv2.INTER_CUBIC)
    for index in range(FRAMES):
        cv2.imwrite(str(folder / f'{index:08d}.png'), noise[:, index : index + 48])


if __name__ == '__main__':
    main()
