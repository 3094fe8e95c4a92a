# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import os
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner.checkpoint import CheckpointLoader, load_checkpoint

from s2svr_mm.checkpoints.files import load_checkpoint_file
from s2svr_mm.compat import import_mmflow, stack
from s2svr_mm.errors import CheckpointError

CHECKOUT = Path(__file__).resolve().parents[1]


def run_python(*args: str, overlay: Path | None = None) -> subprocess.CompletedProcess:
    """Run Python on the checkout; what lies in ``overlay`` hides the installed packages."""
    folders = [str(folder) for folder in (overlay, CHECKOUT) if folder]
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join(folders)}
    return subprocess.run(
        [sys.executable, *args], env=env, cwd=overlay, capture_output=True, text=True
    )


def pretend_installed(overlay: Path, name: str, version: str) -> None:
    """Write the metadata by which pip and importlib know an installed package."""
    folder = overlay / f'{name}-{version}.dist-info'
    folder.mkdir(parents=True)
    (folder / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n')


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """The installed versions as the check sees them; all tested, and a test changes some."""
    versions = {package.name: package.tested for package in stack.PACKAGES}
    monkeypatch.setattr(stack, '_version', versions.get)
    return versions


class TestStack:
    @pytest.mark.parametrize(
        ('name', 'version'),
        [
            ('numpy', '2.0.0rc1'),
            ('mmcv', '2.2.0'),
            ('mmcv', '1.7.2'),
            ('diffusers', '0.25'),
            ('transformers', '5.0.0'),
            ('huggingface-hub', '0.26.0'),
            ('torch', '2.5.1+cu124'),
        ],
    )
    def test_version_known_to_fail(self, installed, name, version):
        installed[name] = version
        tested = next(package.tested for package in stack.PACKAGES if package.name == name)
        with pytest.raises(stack.StackError) as caught:
            stack.check_stack()
        assert f'{name} {version}: ' in str(caught.value)
        assert f'{name}=={tested}' in str(caught.value)

    def test_all_faults_at_once(self, installed):
        installed.update({'numpy': '2.1.0', 'diffusers': None})
        with pytest.raises(stack.StackError, match=r'(?s)numpy 2\.1\.0: .*diffusers -: pip'):
            stack.check_stack()

    @pytest.mark.parametrize(
        ('name', 'version', 'verdict'),
        [
            ('torch', '2.11.0+cpu', 'tested'),
            ('torch', '2.12.1+cu130', 'untested'),
            ('mmcv', '2.1.9', 'untested'),
            ('mmcv', '2.0', 'untested'),
            ('mmflow', None, 'optional'),
        ],
    )
    def test_what_may_work_is_no_error(self, installed, name, version, verdict):
        installed[name] = version
        findings = {finding.name: finding for finding in stack.inspect_versions()}
        assert findings[name].verdict == verdict
        assert not any(finding.is_fault for finding in findings.values())

    def test_mmcv_lite(self, installed):
        installed.update({'mmcv': None, 'mmcv-lite': '2.1.0'})
        with pytest.raises(stack.StackError, match='mmcv-lite has no compiled ops: pip uninstall'):
            stack.check_stack()

    def test_numpy_2(self, tmp_path):
        pretend_installed(tmp_path, 'numpy', '2.1.3')
        done = run_python('-c', 'import s2svr_mm', overlay=tmp_path)
        assert done.returncode == 1
        assert 'numpy 2.1.3: mmagic 1.2 uses names that numpy 2 removed' in done.stderr
        assert 'pip install numpy==1.26.4' in done.stderr

    def test_mmcv_without_ops(self, tmp_path):
        (tmp_path / 'mmcv').mkdir()
        (tmp_path / 'mmcv' / '__init__.py').write_text('__version__ = "2.1.0"\n')
        done = run_python('-c', 'import s2svr_mm', overlay=tmp_path)
        assert done.returncode == 1
        assert "No module named 'mmcv._ext'" in done.stderr
        assert 'its compiled ops are missing' in done.stderr
        assert '--no-build-isolation mmcv==2.1.0' in done.stderr

    def test_report_of_a_broken_stack(self, tmp_path):
        pretend_installed(tmp_path, 'numpy', '2.1.3')
        pretend_installed(tmp_path, 'transformers', '4.40.0')
        done = run_python('-m', 's2svr_mm.compat', overlay=tmp_path)
        rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line}
        assert done.returncode == 1
        assert done.stderr == ''
        assert rows['numpy'][1:4] == ['2.1.3', '1.26.4', 'broken']
        assert rows['transformers'][1:] == ['4.40.0', '4.35.2', 'untested']
        assert rows['torch'][1:] == [torch.__version__.partition('+')[0], '2.11.0', 'tested']
        assert 'put right: numpy' in done.stdout

    def test_report(self, capsys):
        assert stack.report() == 0
        out = capsys.readouterr().out
        assert all(f'\n{package.name} ' in out for package in stack.PACKAGES)
        assert 'All that s2svr_mm needs is there, and imports.' in out

    def test_import_is_quiet_and_leaves_mmflow_alone(self):
        done = run_python('-c', 'import s2svr_mm, sys; print("mmflow" in sys.modules)')
        assert (done.stdout, done.stderr) == ('False\n', '')


class TestMMFlow:
    def test_import(self):
        version = mmcv.__version__
        mmflow = import_mmflow()
        assert mmcv.__version__ == version
        assert mmflow.__version__.startswith('1.0')
        from mmflow.models import FlowNetC  # noqa: F401

    def test_not_installed(self, monkeypatch):
        version = mmcv.__version__
        monkeypatch.setitem(sys.modules, 'mmflow', None)
        with pytest.raises(ImportError, match=r'pip install mmflow==1\.0'):
            import_mmflow()
        assert mmcv.__version__ == version


class _Call:
    """Pickled as a call, as an attack is."""

    def __init__(self, function: Callable, *args: object) -> None:
        self.call = (function, args)

    def __reduce__(self) -> tuple:
        return self.call


class TestCheckpoint:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        return tmp_path / 'iter_5.pth'

    def test_what_mmengine_saves(self, file):
        """A message hub goes through a file as the Runner writes and resumes it."""
        hub = MessageHub('compat')
        for value in (1.0, 2.0, 6.0):
            hub.update_scalar('train/loss', value)
        hub.update_info('best_score', np.float64(31.5))
        hub.update_info('shapes', np.array([[2, 3]], dtype=np.int32))
        weights = OrderedDict(weight=torch.rand(2, 3))
        torch.save({'state_dict': weights, 'message_hub': hub.state_dict()}, file)

        loaded = CheckpointLoader.load_checkpoint(str(file), map_location='cpu')
        assert torch.equal(loaded['state_dict']['weight'], weights['weight'])
        resumed = MessageHub('compat resumed')
        resumed.load_state_dict(loaded['message_hub'])
        loss = resumed.get_scalar('train/loss')
        assert isinstance(loss, HistoryBuffer)
        assert loss.statistics('mean') == 3
        assert loss.statistics('max', 2) == 6
        assert resumed.get_info('best_score') == 31.5
        assert np.array_equal(resumed.get_info('shapes'), [[2, 3]])

    def test_weights_of_mmagic_basicvsr(self, file):
        from mmagic.models import BasicVSRNet

        torch.manual_seed(0)
        saved, loaded = (BasicVSRNet(mid_channels=4, num_blocks=1) for _ in range(2))
        torch.save({'meta': {'iter': np.int64(5)}, 'state_dict': saved.state_dict()}, file)
        load_checkpoint(loaded, str(file), map_location='cpu', strict=True)
        for name, value in loaded.state_dict().items():
            assert torch.equal(value, saved.state_dict()[name])

    @pytest.mark.parametrize('zipped', [True, False])
    @pytest.mark.parametrize(
        'load', [load_checkpoint_file, CheckpointLoader.load_checkpoint], ids=['ours', 'mmengine']
    )
    def test_code_is_not_run(self, tmp_path, file, load, zipped):
        trace = tmp_path / 'trace'
        attack = _Call(os.system, f'touch {trace}')
        torch.save({'state_dict': attack}, file, _use_new_zipfile_serialization=zipped)
        with pytest.raises(CheckpointError, match=r'iter_5\.pth was refused .*system'):
            load(str(file))
        assert not trace.exists()
        torch.load(file, weights_only=False)
        assert trace.exists(), 'the attack itself must work, or this test shows nothing'

    @pytest.mark.parametrize(
        'attack',
        [
            _Call(eval, '1 + 1'),
            _Call(getattr, HistoryBuffer, '__init__'),
            _Call(getattr, np.ndarray, 'tofile'),
        ],
        ids=['eval', 'constructor', 'other class'],
    )
    def test_getattr_is_not_let_in(self, file, attack):
        torch.save({'state_dict': attack}, file)
        with pytest.raises(CheckpointError, match=r'iter_5\.pth was refused'):
            load_checkpoint_file(file)

    @pytest.mark.parametrize('kept', [0, 1, 100, 0.5, 0.99])
    @pytest.mark.parametrize('zipped', [True, False])
    def test_cut_short(self, file, kept, zipped):
        torch.save(
            {'state_dict': {'weight': torch.rand(64, 64)}},
            file,
            _use_new_zipfile_serialization=zipped,
        )
        content = file.read_bytes()
        file.write_bytes(content[: kept if kept >= 1 else int(kept * len(content))])
        with pytest.raises(CheckpointError, match=r'iter_5\.pth (cannot be read|was refused)'):
            load_checkpoint_file(file)

    def test_no_checkpoint_at_all(self, file):
        file.write_text('<html>404: not found</html>')
        with pytest.raises(CheckpointError, match=r'iter_5\.pth'):
            load_checkpoint_file(file)

    def test_missing(self, file):
        with pytest.raises(FileNotFoundError, match=r'no checkpoint at .*iter_5\.pth'):
            load_checkpoint_file(file)
