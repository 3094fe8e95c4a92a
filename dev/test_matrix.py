# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Test the lowest, the tested and the newest versions of the stack on each Python.

Each gets a scratch environment, in which uv installs and pytest runs; the table in docs/install.md
is then written anew. uv takes the Pythons that it finds and downloads others, where it may:
python dev/test_matrix.py [--pythons 3.11 3.12] [--versions lowest tested newest] [--tests PATH ..]
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
    parser.add_argument('--tests', nargs='+', default=['tests'], help='what pytest is given')
    args = parser.parse_args()
    rows, failed = [], False
    for python in args.pythons:
        for name in args.versions:
            with tempfile.TemporaryDirectory(prefix='matrix_') as folder:
                outcome, versions = try_stack(python, name, Path(folder), args.tests)
            failed = failed or 'passed' not in outcome or 'failed' in outcome
            rows.append([name, *versions, outcome])
            print(*rows[-1], sep=' | ', flush=True)
    write_table(rows, ' '.join(args.tests))
    sys.exit(failed)


def try_stack(python: str, name: str, folder: Path, tests: list[str]) -> tuple[str, list[str]]:
    """Install and test one stack.

    Returns:
        tuple[str, list[str]]: pytest's last line, or what failed before; versions of Python and of
            what is ``SHOWN``.
    """
    executable = str(folder / 'bin' / 'python')
    into = ('--python', executable)
    headless = ('--reinstall', '--no-deps', 'opencv-python-headless<4.12')  # see dev/install.sh
    for command in (
        ('venv', '--clear', '--python', python, str(folder)),
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
    pytest = [executable, '-m', 'pytest', '-q', '-n', '2', '-m', 'not slow', '--no-header', *tests]
    path = f'{folder / "bin"}{os.pathsep}{os.environ["PATH"]}'
    environment = dict(os.environ, PATH=path)
    done = subprocess.run(pytest, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    print(done.stdout, flush=True)
    last = done.stdout.strip().splitlines()[-1]
    return re.sub(r' in [\d.]+s.*', '', last.strip('= ')), json.loads(listed)


def write_table(rows: list[list[str]], tests: str) -> None:
    """Put the table in its place in the page, with the date and what was run."""
    header = ['versions', 'Python', *SHOWN, f'pytest {tests}']
    lines = [header, ['---'] * len(header), *rows]
    table = '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)
    before, _, rest = PAGE.read_text().partition(START)
    after = rest.partition(END)[2]
    date = datetime.date.today().isoformat()
    PAGE.write_text(f'{before}{START}\n{date}, {sys.platform}:\n\n{table}\n{END}{after}')


if __name__ == '__main__':
    main()
