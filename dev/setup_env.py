# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Create .venv with the tested stack; `make setup` calls it.

Standard library only. A finished set-up is known by a stamp that is written last, so a second call
ends at once. A pip that was stopped halfway leaves packages that look installed and are not: then
.venv is made anew (what was downloaded and built comes from pip's cache).
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / '.venv'
PYTHON = VENV / 'bin' / 'python'
STAMP = VENV / '.setup-done'
BUSY = VENV / '.setup-installing'
LOCK = os.open(ROOT, os.O_RDONLY)
REQUIREMENTS = ROOT / 'requirements.txt'
REQUIREMENTS_DEV = ROOT / 'requirements-dev.txt'

# Prints why mmcv's CUDA ops cannot be compiled on a machine that has a GPU, or nothing.
CUDA_OBSTACLE = """
import os, re, subprocess, torch
from torch.utils.cpp_extension import CUDA_HOME
if torch.cuda.is_available() and torch.version.cuda:
    want = torch.version.cuda.split('.')[0]
    nvcc = os.path.join(CUDA_HOME or '', 'bin', 'nvcc')
    if not os.path.exists(nvcc):
        print(f'there is no nvcc (CUDA {want} toolkit)')
    else:
        text = subprocess.check_output([nvcc, '--version'], text=True)
        have = re.search(r'release (\\d+)', text)[1]
        if have != want:
            print(f'nvcc is of CUDA {have}, torch of CUDA {want}')
"""


def main() -> None:
    """Set up .venv, unless that is already done."""
    if not (3, 10) <= sys.version_info[:2] <= (3, 12):
        sys.exit(f'Python 3.10 to 3.12 is needed, this is {sys.version.split()[0]}.')
    if is_ready():
        return
    try:
        fcntl.flock(LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say('Waiting for another set-up of this checkout.')
        fcntl.flock(LOCK, fcntl.LOCK_EX)
        if is_ready():
            return
    try:
        create_venv()
        STAMP.unlink(missing_ok=True)
        install()
    except subprocess.CalledProcessError as error:
        sys.exit(f'Set-up stopped, see above: {" ".join(map(str, error.cmd))}')
    BUSY.write_text(fingerprint())
    BUSY.rename(STAMP)
    say('Set-up is complete.')


def fingerprint() -> str:
    """Hash all that decides what .venv holds, and its place (an editable install names it)."""
    digest = hashlib.sha256(str(ROOT).encode())
    for file in (REQUIREMENTS, REQUIREMENTS_DEV, Path(__file__)):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def is_ready() -> bool:
    """Whether a set-up with these requirements has come to its end."""
    return PYTHON.exists() and STAMP.is_file() and STAMP.read_text() == fingerprint()


def create_venv() -> None:
    """Make .venv, anew if the one there is broken or was left in the middle of an installation."""
    if VENV.exists() and (BUSY.exists() or not pip_works()):
        say('.venv is broken or was left half-made: starting it anew.')
        shutil.rmtree(VENV)
    if not VENV.exists():
        say(f'Creating .venv with Python {sys.version.split()[0]}')
        VENV.mkdir()
        BUSY.touch()
        run(sys.executable, '-m', 'venv', VENV)
        BUSY.unlink()


def install() -> None:
    """Install the stack in the one order that works."""
    say('1/4 PyTorch and build tools (about 3 GB)')
    tools = ('setuptools', 'wheel', 'ninja', 'psutil')
    pip_install('-c', REQUIREMENTS, 'torch', 'torchvision', *tools)
    mmcv = []
    if ops_error():
        say('2/4 mmcv (10 to 30 minutes on 2 cores if pip finds no wheel and builds one)')
        mmcv = build_mmcv()
    say('3/4 mmagic and all else')
    pip_install('-r', REQUIREMENTS_DEV, *mmcv)
    # All three OpenCV packages write the same files; only the headless one runs without libGL.
    pip_install('--force-reinstall', '--no-deps', pinned('opencv-python-headless'))
    if ops_error():
        say('This mmcv has no ops that load here: building it from source')
        mmcv = build_mmcv('--no-cache-dir', '--no-binary', 'mmcv')
        pip_install('--force-reinstall', '--no-deps', *mmcv)
    if error := ops_error():
        sys.exit(f'{error}\nmmcv was built, but its ops do not load.')
    shutil.rmtree(VENV / 'wheels', ignore_errors=True)
    say('4/4 s2svr_mm itself')
    pip_install('--no-deps', '--no-build-isolation', '-e', ROOT)
    run(PYTHON, '-m', 's2svr_mm.compat', cwd=ROOT)


def build_mmcv(*options: str) -> list[Path]:
    """Put a wheel of mmcv with compiled ops into .venv/wheels: one that pip finds, or a new one."""
    wheels = VENV / 'wheels'
    shutil.rmtree(wheels, ignore_errors=True)
    # Not isolated: without torch at hand mmcv's setup leaves the ops out, and says nothing.
    command = ('wheel', '--no-deps', '--no-build-isolation', *options, '-w', wheels)
    try:
        run(PYTHON, '-m', 'pip', *command, pinned('mmcv'), env=build_environment())
    except subprocess.CalledProcessError:
        sys.exit(
            'mmcv could not be built, see above. Its ops need a C++17 compiler and the headers of '
            'Python (on Debian: apt install g++ python3-dev). Where only its CUDA ops fail, '
            'CUDA_VISIBLE_DEVICES= make setup builds those for the CPU.'
        )
    return list(wheels.glob('*.whl'))


def ops_error() -> str:
    """Say why mmcv's ops do not load beside this torch; an empty string if they do."""
    version = pinned('mmcv').partition('==')[2]
    script = f'import torch, mmcv.ops, mmcv._ext; assert mmcv.__version__ == {version!r}'
    done = subprocess.run([PYTHON, '-c', script], stderr=subprocess.PIPE, text=True)
    return done.stderr if done.returncode else ''


def build_environment() -> dict[str, str]:
    """Environment for mmcv's build: all cores, and CUDA ops only where they can be compiled."""
    environment = {'MAX_JOBS': str(os.cpu_count()), 'MMCV_WITH_OPS': '1', **os.environ}
    obstacle = subprocess.check_output(
        [PYTHON, '-c', CUDA_OBSTACLE], stderr=subprocess.DEVNULL, text=True
    ).strip()
    if obstacle and environment.get('FORCE_CUDA') != '1':
        say(f'mmcv gets ops for the CPU only: {obstacle}.')
        environment['CUDA_VISIBLE_DEVICES'] = ''  # mmcv's setup asks torch.cuda.is_available()
    return environment


def pinned(name: str) -> str:
    """Return the requirement of that name, version included."""
    lines = REQUIREMENTS.read_text().splitlines()
    return next(line for line in lines if line.startswith(f'{name}=='))


def pip_works() -> bool:
    """Whether .venv has a Python that runs, with pip."""
    command = [PYTHON, '-m', 'pip', '--version']
    return PYTHON.exists() and subprocess.run(command, capture_output=True).returncode == 0


def pip_install(*arguments: str | Path) -> None:
    """Run ``pip install``; ``BUSY`` stays behind if it does not come to its end."""
    BUSY.touch()
    run(PYTHON, '-m', 'pip', 'install', *arguments)
    BUSY.unlink()


def run(*command: str | Path, **options: Any) -> None:
    """Run a command that must succeed; it holds the lock as long as it lives."""
    subprocess.run(command, check=True, pass_fds=[LOCK], **options)


def say(text: str) -> None:
    """Print a line of our own among those of pip."""
    print(f'== {text}', flush=True)


if __name__ == '__main__':
    try:
        main()
    except KeyboardInterrupt:
        sys.exit('\nSet-up was interrupted; the next call picks it up again.')
