# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The packages under s2svr_mm: which versions work together, and what to do about the others."""

import importlib
import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from ..errors import StackError


class Package(NamedTuple):
    """A distribution of the stack.

    ``tested`` is the version in requirements.txt. Those from ``at_least`` to just before ``below``
    may work; ``why`` tells what fails outside, ``install`` how to get the tested one.
    """

    name: str
    tested: str
    at_least: str
    below: str = ''
    why: str = ''
    install: str = 'pip install {name}=={tested}'
    optional: bool = False

    @property
    def remedy(self) -> str:
        """The command that installs the tested version."""
        return self.install.format(name=self.name, tested=self.tested)


PACKAGES = (
    Package('torch', '2.11.0', '2.6', why='older ones do not read checkpoints safely'),
    Package('torchvision', '0.26.0', '0.21', why='older ones belong to an older torch'),
    Package('numpy', '1.26.4', '1.24', '2', 'mmagic 1.2 uses names that numpy 2 removed'),
    Package(
        'opencv-python',
        '4.11.0.86',
        '4.5',
        install='pip install --force-reinstall --no-deps opencv-python-headless=={tested}',
        optional=True,  # its headless and contrib variants hold the same module
    ),
    Package('mmengine', '0.10.7', '0.10', '1', 'mmagic 1.2 refuses mmengine 1'),
    Package(
        'mmcv',
        '2.1.0',
        '2.0',
        '2.2',
        'mmagic 1.2 refuses mmcv 2.2',
        # pip hides torch from a build unless told not to, and then mmcv is built without ops
        install='with torch installed, pip install "setuptools<81" ninja; pip install '
        '--force-reinstall --no-deps --no-cache-dir --no-build-isolation {name}=={tested}',
    ),
    Package('mmagic', '1.2.0', '1.2', '2', 's2svr_mm plugs into mmagic 1.2'),
    Package('diffusers', '0.24.0', '0.23', '0.25', 'mmagic 1.2 does not import beside 0.25'),
    Package('transformers', '4.35.2', '4.27.4', '4.49', '4.49 wants huggingface-hub 0.26'),
    Package('huggingface-hub', '0.20.3', '0.19.4', '0.26', 'diffusers 0.24 uses what 0.26 removed'),
    Package('av', '18.1.0' if sys.version_info >= (3, 11) else '17.1.0', '12'),
    Package('mmflow', '1.0.0rc0', '1.0.0rc0', '2', optional=True),
)

# What may fail to import where all versions are right: module, its package, the usual reason.
IMPORTS = (
    ('torch', 'torch', 'its installation is damaged'),
    ('torchvision', 'torchvision', 'it was built for another torch; take both from one index'),
    ('cv2', 'opencv-python', 'a machine without a display needs the headless variant'),
    ('mmcv._ext', 'mmcv', 'its compiled ops are missing or were built for another torch'),
    ('mmagic.models', 'mmagic', 'a package that it imports is of the wrong version'),
)


class Finding(NamedTuple):
    """What was found out about one package: a row of the report."""

    name: str
    installed: str
    tested: str
    verdict: str
    advice: str = ''

    @property
    def is_fault(self) -> bool:
        """Whether s2svr_mm cannot work with this."""
        return self.verdict in ('missing', 'broken')


def check_stack() -> None:
    """Import mmagic, or say which package is at fault.

    Raises:
        StackError: If a package is missing, of a version known to fail, or does not import.
    """
    faults = [finding for finding in inspect_versions() if finding.is_fault] or inspect_imports()
    if faults:
        lines = [f'{fault.name} {fault.installed}: {fault.advice}' for fault in faults]
        raise StackError(
            'the installed packages do not work together '
            "('python -m s2svr_mm.compat' shows all):\n  " + '\n  '.join(lines)
        )


def inspect_versions() -> list[Finding]:
    """Hold each installed version against the tested one and against what is known to fail."""
    return [_inspect_version(package) for package in PACKAGES]


def inspect_imports() -> list[Finding]:
    """Import the parts that may not fit one another; return the first that fails, if any does."""
    for module, name, usual_reason in IMPORTS:
        try:
            importlib.import_module(module)
        except Exception as error:  # a foreign torchvision, for one, raises a RuntimeError
            package = next(package for package in PACKAGES if package.name == name)
            what = str(error).strip().split('\n')[-1] or type(error).__name__
            advice = f'import {module} fails ({what}): {usual_reason}. {package.remedy}'
            return [Finding(name, _version(name) or '-', package.tested, 'broken', advice)]
    return []


def report() -> int:
    """Print a table of the stack and what to do about it.

    Returns:
        Exit code: 1 if s2svr_mm cannot work, else 0.
    """
    findings = {finding.name: finding for finding in inspect_versions()}
    if not any(finding.is_fault for finding in findings.values()):
        findings |= {finding.name: finding for finding in inspect_imports()}
    rows = [('package', 'installed', 'tested', 'verdict', 'what to do'), *findings.values()]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print('  '.join([*map(str.ljust, row, widths), row[4]]).rstrip())
    faults = [finding.name for finding in findings.values() if finding.is_fault]
    print()
    print(f'Python {platform.python_version()} (tested: 3.10 to 3.12), {platform.platform()}')
    if faults:
        print(f's2svr_mm cannot work before this is put right: {", ".join(faults)}')
        return 1
    print(_describe_device())
    print('All that s2svr_mm needs is there, and imports.')
    if not (Path(__file__).resolve().parents[1] / '.mim').is_dir():
        print(
            'mim does not find a checkout or an editable install: run tools/train.py and '
            'tools/test.py of the checkout, or install with: pip install .'
        )
    return 0


def _inspect_version(package: Package) -> Finding:
    name, tested = package.name, package.tested
    installed = _version(name)
    if installed is None:
        if package.optional:
            return Finding(name, '-', tested, 'optional', f'if needed: {package.remedy}')
        lite = name == 'mmcv' and _version('mmcv-lite')
        advice = 'mmcv-lite has no compiled ops: pip uninstall mmcv-lite, then ' if lite else ''
        return Finding(name, '-', tested, 'missing', advice + package.remedy)
    release = _release(installed)
    if release < _release(package.at_least) or (
        package.below and release >= _release(package.below)
    ):
        return Finding(name, installed, tested, 'broken', f'{package.why}: {package.remedy}')
    is_tested = installed.partition('+')[0] == tested
    return Finding(name, installed, tested, 'tested' if is_tested else 'untested')


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _release(version: str) -> tuple[int, ...]:
    """'2.2.0rc1+cpu' -> (2, 2), so that 2.2 and 2.2.0 compare equal."""
    digits = re.match(r'\d+(\.\d+)*', version)[0]
    return tuple(int(part) for part in re.sub(r'(\.0+)+$', '', digits).split('.'))


def _describe_device() -> str:
    import torch
    from mmcv.ops import get_compiling_cuda_version

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'
    return f'Device: {device}; CUDA of torch: {torch.version.cuda}, of mmcv: ' + (
        get_compiling_cuda_version()
    )
