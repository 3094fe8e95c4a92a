# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Test the lowest, the tested and the newest versions of the stack on each Python.

Each gets a scratch environment, one at a time, in which uv installs and pytest runs. Its row of the
table in docs/install.md is then written, and the other rows stay. uv takes the Pythons that it
finds and downloads others, where it may:
python dev/test_matrix.py [--pythons 3.11 3.12] [--versions lowest tested newest] [--workers 2]
"""

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs' / 'install.md'
START, END = '<!-- matrix: written by dev/test_matrix.py -->', '<!-- end of matrix -->'
# What uv is asked for.
VERSIONS = {
    'lowest': ('--resolution', 'lowest-direct', '-e', f'{ROOT}[flow,dev]'),
    'tested': ('-e', f'{ROOT}[tested,dev]'),
    'newest': ('-e', f'{ROOT}[flow,dev]'),
}
SHOWN = (
    'torch',
    'torchvision',
    'numpy',
    'mmengine',
    'mmcv-lite',
    'mmagic',
    'diffusers',
    'transformers',
    'huggingface-hub',
    'av',
)
LIST_VERSIONS = f"""
import json, platform
from importlib.metadata import version
print(json.dumps([platform.python_version(), *map(version, {SHOWN})]))
"""


def main() -> None:
    """Run the matrix; exit code 1 if any of it fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--pythons', nargs='+', default=['3.11', '3.12'])
    parser.add_argument('--versions', nargs='+', choices=VERSIONS, default=list(VERSIONS))
    parser.add_argument('--workers', default='2', help="processes of pytest (default: '2')")
    args = parser.parse_args()
    failed = False
    for python in args.pythons:
        for name in args.versions:
            with tempfile.TemporaryDirectory(prefix='matrix_') as folder:
                outcome, versions = try_stack(python, name, Path(folder), args.workers)
            failed = failed or 'passed' not in outcome or re.search('failed|error', outcome)
            row = [datetime.date.today().isoformat(), name, *versions, outcome]
            print(*row, sep=' | ', flush=True)
            PAGE.write_text(with_row(PAGE.read_text(), row))
    sys.exit(bool(failed))


def try_stack(python: str, name: str, folder: Path, workers: str) -> tuple[str, list[str]]:
    """Install and test one stack.

    Returns:
        tuple[str, list[str]]: pytest's last line, or what failed before; versions of Python and of
            what is ``SHOWN``.
    """
    executable = str(folder / 'bin' / 'python')
    into = ('--python', executable)
    headless = ('--reinstall', '--no-deps', 'opencv-python-headless<4.12')  # see dev/install.sh
    for command in (
        # With pip, by which tests build the wheel.
        ('venv', '--clear', '--seed', '--python', python, str(folder)),
        ('pip', 'install', *into, *VERSIONS[name]),
        ('pip', 'install', *into, *headless),
        ('pip', 'check', *into),
    ):
        if subprocess.run([sys.executable, '-m', 'uv', *command]).returncode:
            return f'uv {" ".join(command[:2])} failed', [python, *['-'] * len(SHOWN)]
    listed = subprocess.check_output([executable, '-c', LIST_VERSIONS], text=True)
    doctor = subprocess.run([executable, '-m', 's2svr_launcher', 'doctor'], cwd=ROOT)
    if doctor.returncode:
        return 'does not import', json.loads(listed)
    pytest = [executable, '-m', 'pytest', '-q', '-n', workers, '-m', 'not slow', '--no-header']
    path = f'{folder / "bin"}{os.pathsep}{os.environ["PATH"]}'
    environment = dict(os.environ, PATH=path)
    done = subprocess.run(pytest, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    print(done.stdout, flush=True)
    last = done.stdout.strip().splitlines()[-1]
    return re.sub(r' in [\d.]+s.*', '', last.strip('= ')), json.loads(listed)


def with_row(page: str, row: list[str]) -> str:
    """Put a row into the table of a page, in place of the one of the same versions and Python."""
    before, _, rest = page.partition(START)
    table, _, after = rest.partition(END)
    lines = [[cell.strip() for cell in line.strip('|').split('|')] for line in table.split('\n')]
    rows = {key(line): line for line in lines if len(line) > 1 and line[1] in VERSIONS}
    rows[key(row)] = row
    header = ['date', 'versions', 'Python', *SHOWN, 'tests']
    lines = [header, ['---'] * len(header), *(rows[each] for each in sorted(rows))]
    table = '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)
    return f'{before}{START}\n{table}\n{END}{after}'


def key(row: list[str]) -> tuple[str, int]:
    """Tell rows apart: by the minor version of Python and the place among ``VERSIONS``."""
    return '.'.join(row[2].split('.')[:2]), list(VERSIONS).index(row[1])


if __name__ == '__main__':
    main()
