# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The stack as the metadata of this checkout bounds it, whatever is installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement

from s2svr_mm.compat import stack
from s2svr_mm.errors import StackError

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def metadata_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the metadata that an installation of this checkout has."""
    source, folder = (tmp_path_factory.mktemp(name) for name in ('source', 'metadata'))
    (source / 's2svr_mm').mkdir()
    for name in ('pyproject.toml', 'README.md', 'LICENSE', 's2svr_mm/version.py'):
        shutil.copy(CHECKOUT / name, source / name)
    script = 'from setuptools import build_meta as b; b.prepare_metadata_for_build_wheel({!r})'
    command = [sys.executable, '-c', script.format(str(folder))]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    return folder


@pytest.fixture
def overlay(metadata_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose packages hide those installed, here and in subprocesses."""
    (tmp_path / next(metadata_folder.iterdir()).name).symlink_to(next(metadata_folder.iterdir()))
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.fixture
def installed(overlay: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """The installed versions as the check sees them; all tested, and a test changes some."""
    versions: dict[str, str | None] = {
        bound.requirement.name: bound.tested or '99' for bound in stack.read_bounds().values()
    }
    versions['setuptools'] = '80.1'
    monkeypatch.setattr(stack, '_version', versions.get)
    return versions


def pretend_installed(overlay: Path, name: str, version: str) -> None:
    """Write the metadata by which pip and importlib know an installed package."""
    folder = overlay / f'{name}-{version}.dist-info'
    folder.mkdir(parents=True)
    (folder / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n')


def run_python(*args: str, overlay: Path) -> subprocess.CompletedProcess:
    """Run Python on the checkout; what lies in ``overlay`` hides the installed packages."""
    env = {**os.environ, 'PYTHONPATH': f'{overlay}{os.pathsep}{CHECKOUT}'}
    return subprocess.run(
        [sys.executable, *args], env=env, cwd=overlay, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ('name', 'version'),
    [
        ('numpy', '2.0.0rc1'),
        ('mmcv-lite', '2.2.0'),
        ('mmcv-lite', '1.7.2'),
        ('diffusers', '0.25'),
        ('transformers', '5.0.0'),
        ('huggingface-hub', '0.26.0'),
        ('torch', '2.5.1+cu124'),
        ('av', '17.1.0'),
    ],
)
def test_version_known_to_fail(installed, name, version):
    tested = installed[name]
    installed[name] = version
    with pytest.raises(StackError) as caught:
        stack.check_stack()
    assert f'{name} {version}: ' in str(caught.value)
    assert f"pip install '{name}=={tested}'" in str(caught.value)


def test_all_faults_at_once(installed):
    installed.update({'numpy': '2.1.0', 'diffusers': None})
    with pytest.raises(StackError, match=r"(?s)numpy 2\.1\.0: .*diffusers -: pip install 'diffus"):
        stack.check_stack()


@pytest.mark.parametrize(
    ('name', 'version', 'verdict'),
    [
        ('torch', '2.11.0+cpu', 'tested'),
        ('torch', '2.12.1+cu130', 'untested'),
        ('mmcv-lite', '2.1.9', 'untested'),
        ('tqdm', '5.0', 'fits'),
        ('mmflow', None, 'optional'),
    ],
)
def test_what_may_work_is_no_error(installed, name, version, verdict):
    installed[name] = version
    findings = {finding.name: finding for finding in stack.inspect_versions()}
    assert findings[name].verdict == verdict
    assert not any(finding.is_fault for finding in findings.values())


def test_mmcv_takes_the_place_of_mmcv_lite(installed):
    installed.update({'mmcv-lite': None, 'mmcv': '2.1.0'})
    findings = {finding.name: finding for finding in stack.inspect_versions()}
    assert findings['mmcv'].verdict == 'tested'
    assert 'mmcv-lite' not in findings
    installed['mmcv'] = '2.2.0'
    with pytest.raises(StackError, match=r'mmcv 2\.2\.0: .*mmagic 1\.2 refuses mmcv 2\.2'):
        stack.check_stack()


def test_mmcv_and_mmcv_lite_together(installed):
    installed['mmcv'] = '2.1.0'
    findings = {finding.name: finding for finding in stack.inspect_versions()}
    assert findings['mmcv'].verdict == 'conflict'
    assert 'pip uninstall -y mmcv-lite; pip install --force-reinstall' in findings['mmcv'].advice
    assert not any(finding.is_fault for finding in findings.values())


def test_missing_variant_of_opencv(installed):
    installed.update({'opencv-python': None, 'opencv-python-headless': '4.11.0.86'})
    findings = {finding.name: finding for finding in stack.inspect_versions()}
    assert findings['opencv-python-headless'].verdict == 'tested'


def test_bounds_are_those_of_pyproject(overlay):
    bounds = stack.read_bounds()
    assert bounds['av'].requirement.specifier == Requirement('av>=18.1,<19').specifier
    assert not bounds['av'].optional
    assert bounds['mmflow'].optional
    assert not {'pytest', 'sphinx'} & set(bounds)


def test_tested_versions_are_within_the_bounds(overlay):
    for name, bound in stack.read_bounds().items():
        if bound.tested:
            assert bound.requirement.specifier.contains(bound.tested, prereleases=True), name
    untested = {name for name, bound in stack.read_bounds().items() if not bound.tested}
    assert untested == {'packaging', 'pillow', 'tqdm', 'setuptools'}


def test_not_installed(monkeypatch):
    """A checkout on the path alone: nothing to hold versions against, and no error."""

    def requires(name: str) -> None:
        raise stack.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(stack.metadata, 'requires', requires)
    assert stack.inspect_versions() == []
    stack.check_stack()


def test_import_beside_numpy_2(overlay):
    pretend_installed(overlay, 'numpy', '2.1.3')
    done = run_python('-c', 'import s2svr_mm', overlay=overlay)
    assert done.returncode == 1
    assert (
        'numpy 2.1.3: <2,>=1.26 is needed (mmagic 1.2 uses names that numpy 2 removed): '
        "pip install 'numpy==1.26.4'"
    ) in done.stderr


def test_opencv_without_a_display(overlay):
    (overlay / 'cv2.py').write_text("raise ImportError('libGL.so.1: cannot open shared object')")
    done = run_python('-c', 'import s2svr_mm', overlay=overlay)
    assert done.returncode == 1
    assert 'libGL.so.1: cannot open shared object' in done.stderr
    assert '--no-deps opencv-python-headless==4' in done.stderr


def test_report_of_a_broken_stack(overlay):
    """Nothing heavy is imported for it, and the rest of the table is there."""
    pretend_installed(overlay, 'numpy', '2.1.3')
    pretend_installed(overlay, 'transformers', '4.40.0')
    (overlay / 'torch.py').write_text('raise SystemExit("torch was imported")')
    done = run_python('-m', 's2svr_launcher', 'doctor', overlay=overlay)
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line}
    assert (done.returncode, done.stderr) == (1, '')
    assert rows['numpy'][1:4] == ['2.1.3', '1.26.4', 'broken']
    assert rows['transformers'][1:] == ['4.40.0', '4.35.2', 'untested']
    assert rows['torch'][1:3] == [torch.__version__.partition('+')[0], '2.11.0']
    assert 'fixed: numpy' in done.stdout


def test_report(overlay, capsys):
    assert stack.report() == 0
    out = capsys.readouterr().out
    assert all(f'\n{name} ' in out for name in ('torch', 'mmagic', 'tqdm', 'mmflow'))
    assert "mmcv's operators are" in out
    assert 'All that s2svr_mm needs is there, and imports.' in out
