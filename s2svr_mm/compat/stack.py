# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The packages under s2svr_mm: which versions work together, and what to do about the others.

The bounds are those of the package's own metadata (``pyproject.toml``): its dependencies, its
optional ones, and under the extra ``tested`` the versions that the tests ran on.
"""

import importlib
import platform
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

from ..errors import StackError
from .mmcv_ops import REMEDY, provide_ops, stand_in

# What fails outside the bounds, where that is known.
REASONS = {
    'torch': 'older ones do not read checkpoints safely',
    'numpy': 'mmagic 1.2 uses names that numpy 2 removed',
    'opencv-python': '4.12 needs numpy 2',
    'mmengine': 'older ones do not import beside torch 2.6, and mmagic 1.2 refuses mmengine 1',
    'mmcv-lite': 'mmagic 1.2 refuses mmcv 2.2',
    'diffusers': 'mmagic 1.2 does not import beside 0.25',
    'transformers': '4.49 wants huggingface-hub 0.26',
    'huggingface-hub': 'diffusers 0.24 uses what 0.26 removed',
    'av': '18.0 does not say what an encoder takes, and 19 opens files in another way',
    'setuptools': "mmengine reads _base_ = 'mmagic::...' with pkg_resources, which 82 removed",
}

# Other distributions of the same module.
ALTERNATIVES = {
    'mmcv-lite': ('mmcv',),
    'opencv-python': ('opencv-python-headless', 'opencv-contrib-python'),
}

# What may fail to import where all versions are right: module, its package, the usual reason, and
# the remedy where that is not to install the tested version.
IMPORTS = (
    ('torch', 'torch', 'its installation is damaged', ''),
    ('torchvision', 'torchvision', 'it was built for another torch; take both from one index', ''),
    (
        'cv2',
        'opencv-python',
        'a machine without a display needs the headless variant',
        'pip install --force-reinstall --no-deps opencv-python-headless=={version}',
    ),
    ('mmcv.ops', 'mmcv-lite', 'its installation is damaged', ''),
    ('mmagic.models', 'mmagic', 'a package that it imports is of the wrong version', ''),
)


class Bound(NamedTuple):
    """What the metadata of s2svr_mm says about one distribution."""

    requirement: Requirement
    tested: str
    optional: bool

    @property
    def remedy(self) -> str:
        """The command that installs the tested version, or one within the bounds."""
        version = f'=={self.tested}' if self.tested else str(self.requirement.specifier)
        return f"pip install '{self.requirement.name}{version}'"


class Finding(NamedTuple):
    """What was found out about one distribution: a row of the report."""

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
    """Import mmagic, or report which package is at fault.

    Raises:
        StackError: If a package is missing, of a version known to fail, or does not import.
    """
    faults = [finding for finding in inspect_versions() if finding.is_fault] or inspect_imports()
    if faults:
        lines = [f'{fault.name} {fault.installed}: {fault.advice}' for fault in faults]
        raise StackError(
            'the installed packages do not work together '
            "('s2svr doctor' shows all):\n  " + '\n  '.join(lines)
        )


def read_bounds() -> dict[str, Bound]:
    """Read the dependencies of s2svr_mm from its metadata, by name.

    Returns:
        dict[str, Bound]: Empty if s2svr_mm is run from a folder without being installed.
    """
    try:
        requirements = [Requirement(line) for line in metadata.requires('s2svr_mm') or []]
    except metadata.PackageNotFoundError:
        return {}
    tested = {
        r.name: str(r.specifier).removeprefix('==') for r in _of_extra(requirements, 'tested')
    }
    needed = _of_extra(requirements, '')
    optional = _of_extra(requirements, 'flow')
    return {r.name: Bound(r, tested.get(r.name, ''), r not in needed) for r in (*needed, *optional)}


def inspect_versions() -> list[Finding]:
    """Hold each installed version against the tested one and the bounds."""
    return [_inspect_version(bound) for bound in read_bounds().values()]


def inspect_imports() -> list[Finding]:
    """Import the parts that may not fit one another; return the first that fails, if any does."""
    for module, name, usual_reason, remedy in IMPORTS:
        try:
            if module == 'mmcv.ops':
                provide_ops()
            importlib.import_module(module)
        except Exception as error:  # a foreign torchvision, for one, raises a RuntimeError
            what = str(error).strip().split('\n')[-1] or type(error).__name__
            bound = read_bounds().get(name) or Bound(Requirement(name), '', optional=False)
            installed = _installed(name)[0]
            remedy = remedy.format(version=_version(installed)) or bound.remedy
            advice = f'import {module} fails ({what}): {usual_reason}. {remedy}'
            return [Finding(installed, _version(installed) or '-', bound.tested, 'broken', advice)]
    return []


def report() -> int:
    """Print a table of the stack and what to do about it.

    Returns:
        int: Exit code: 1 if s2svr_mm cannot work, else 0.
    """
    findings = inspect_versions()
    if not any(finding.is_fault for finding in findings):
        findings += inspect_imports()
    rows = [('package', 'installed', 'tested', 'verdict', 'what to do'), *findings]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print('  '.join([*map(str.ljust, row, widths), row[4]]).rstrip())
    print(
        '\nuntested: within the bounds, but the tests ran on the version beside it; '
        'fits: within the bounds'
    )
    print(f'Python {platform.python_version()}, {platform.platform()}')
    if not read_bounds():
        print('s2svr_mm is not installed here (pip install -e .): its bounds are not known.')
    faults = [finding.name for finding in findings if finding.is_fault]
    if faults:
        print(f's2svr_mm cannot work until this is fixed: {", ".join(faults)}')
        return 1
    print(_describe_device())
    print(_describe_ops())
    print('All that s2svr_mm needs is there, and imports.')
    if not (Path(__file__).resolve().parents[1] / '.mim').is_dir():
        print(
            'mim does not find a checkout or an editable install: run tools/train.py and '
            'tools/test.py of the checkout, or install with: pip install .'
        )
    return 0


def _of_extra(requirements: list[Requirement], extra: str) -> list[Requirement]:
    """Return the requirements of an extra, or with '' those without one."""
    active = [r for r in requirements if r.marker is None or r.marker.evaluate({'extra': extra})]
    return [r for r in active if (r.marker is not None and 'extra' in str(r.marker)) == bool(extra)]


def _inspect_version(bound: Bound) -> Finding:
    installed = _installed(bound.requirement.name)
    name = installed[0]
    version, tested = _version(name), bound.tested
    if version is None:
        if bound.optional:
            return Finding(name, '-', tested, 'optional', f'if needed: {bound.remedy}')
        return Finding(name, '-', tested, 'missing', bound.remedy)
    specifier = bound.requirement.specifier
    if not specifier.contains(version, prereleases=True):
        reason = REASONS.get(bound.requirement.name)
        why = f'{specifier} is needed' + (f' ({reason})' if reason else '')
        return Finding(name, version, tested, 'broken', f'{why}: {bound.remedy}')
    if name == 'mmcv' and 'mmcv-lite' in installed:
        advice = (
            'mmcv-lite is installed too, in the same folder, and without one of them the other is '
            'broken: pip uninstall -y mmcv-lite; '
            f'pip install --force-reinstall --no-deps mmcv=={version}'
        )
        return Finding(name, version, tested, 'conflict', advice)
    verdict = 'tested' if version.partition('+')[0] == tested else 'untested' if tested else 'fits'
    return Finding(name, version, tested, verdict)


def _installed(name: str) -> list[str]:
    """Return which distributions of a module are there, or the one wanted if none is."""
    names = (*ALTERNATIVES.get(name, ()), name)
    return [one for one in names if _version(one)] or [name]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _describe_device() -> str:
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'
    return f'Device: {device}; CUDA of torch: {torch.version.cuda}'


def _describe_ops() -> str:
    import torch
    from mmcv.ops import get_compiling_cuda_version

    replaced = stand_in()
    if replaced is None:
        cuda = get_compiling_cuda_version()
        text = f"mmcv's operators are compiled; CUDA of them: {cuda}"
        if torch.cuda.is_available() and cuda == 'not available':
            text += (
                '. BasicVSR++, EDVR, IconVSR and TDAN do not run on the GPU with them; without '
                'compiled operators they do: pip uninstall -y mmcv; pip install mmcv-lite==2.1.0'
            )
        return text
    why = f'do not load ({replaced.reason})' if replaced.reason else 'are not compiled'
    return (
        f"mmcv's operators {why}: torchvision computes deformable convolutions (BasicVSR++, EDVR, "
        f'IconVSR, TDAN), and nothing else in s2svr_mm needs them. Where another network does: '
        f'{REMEDY[0].lower()}{REMEDY[1:]}'
    )
