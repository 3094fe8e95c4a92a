# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import contextlib
import fcntl
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / 'dev' / 'setup_env.py'


@pytest.fixture(scope='module')
def empty_venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with pip, for copying: making one takes seconds."""
    venv = tmp_path_factory.mktemp('template') / 'venv'
    subprocess.run([sys.executable, '-m', 'venv', venv], check=True)
    return venv


@pytest.fixture
def setup_env(
    tmp_path: Path, empty_venv: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModuleType]:
    """The script, set up to work on an empty folder; its installation only leaves a mark."""
    spec = importlib.util.spec_from_file_location('setup_env', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    os.close(module.LOCK)
    venv = tmp_path / '.venv'
    run = module.run
    module.real_install = module.install

    def run_or_copy(*command: object) -> None:
        if command[1:3] == ('-m', 'venv'):
            shutil.copytree(empty_venv, command[3], symlinks=True, dirs_exist_ok=True)
        else:
            run(*command)

    for name, value in {
        'ROOT': tmp_path,
        'VENV': venv,
        'PYTHON': venv / 'bin' / 'python',
        'STAMP': venv / '.setup-done',
        'BUSY': venv / '.setup-installing',
        'LOCK': os.open(tmp_path, os.O_RDONLY),
        'REQUIREMENTS': tmp_path / 'requirements.txt',
        'run': run_or_copy,
        'install': lambda: (venv / 'installed').write_text('x'),
    }.items():
        monkeypatch.setattr(module, name, value)
    module.REQUIREMENTS.write_text('mmcv==2.1.0\nopencv-python-headless==4.11.0.86\n')
    yield module
    os.close(module.LOCK)


def test_second_call_does_nothing(setup_env):
    setup_env.main()
    assert setup_env.is_ready()
    assert setup_env.pip_works()
    (setup_env.VENV / 'installed').unlink()
    setup_env.main()
    assert not (setup_env.VENV / 'installed').exists()


def test_changed_requirements_are_installed_in_place(setup_env):
    setup_env.main()
    (setup_env.VENV / 'installed').unlink()
    (setup_env.VENV / 'mine').touch()
    setup_env.REQUIREMENTS.write_text('mmcv==2.1.1\n')
    assert not setup_env.is_ready()
    setup_env.main()
    assert (setup_env.VENV / 'installed').exists()
    assert (setup_env.VENV / 'mine').exists()


@pytest.mark.parametrize('leftover', ['empty', 'no pip', 'python gone', 'pip was running'])
def test_half_made_environment_is_healed(setup_env, empty_venv, leftover):
    venv = setup_env.VENV
    if leftover in ('no pip', 'pip was running'):
        shutil.copytree(empty_venv, venv, symlinks=True)
    else:
        venv.mkdir()
    if leftover == 'no pip':
        (site_packages,) = venv.glob('lib/python*/site-packages')
        shutil.rmtree(site_packages / 'pip')
    if leftover == 'python gone':
        (venv / 'bin').mkdir()
        (venv / 'bin' / 'python').symlink_to('/no/such/python')
    if leftover == 'pip was running':
        setup_env.BUSY.touch()
    (venv / 'half-made').touch()
    setup_env.main()
    assert setup_env.is_ready()
    assert setup_env.pip_works()
    assert not (venv / 'half-made').exists()


def test_failed_installation_is_not_taken_for_finished(setup_env, monkeypatch):
    install = setup_env.install
    monkeypatch.setattr(
        setup_env, 'install', lambda: setup_env.pip_install('--no-index', 'no-such-package')
    )
    with pytest.raises(SystemExit, match=r'Set-up stopped, see above: .*no-such-package'):
        setup_env.main()
    assert not setup_env.is_ready()
    assert setup_env.BUSY.exists()
    monkeypatch.setattr(setup_env, 'install', install)
    setup_env.main()
    assert setup_env.is_ready()


@pytest.mark.parametrize('built_ops_load', [True, False])
def test_mmcv_whose_ops_do_not_load_is_built_from_source(setup_env, monkeypatch, built_ops_load):
    """As when pip finds a wheel that was built without torch, or for another one."""
    steps = []
    state = {'ops': 'none'}

    def build_mmcv(*options: str) -> list[str]:
        steps.append(('build', *options))
        return ['mmcv.whl']

    def pip_install(*arguments: object) -> None:
        steps.append(('install', *arguments))
        if 'mmcv.whl' in arguments and ('build', '--no-cache-dir', '--no-binary', 'mmcv') in steps:
            state['ops'] = 'loaded' if built_ops_load else 'undefined symbol'

    monkeypatch.setattr(setup_env, 'build_mmcv', build_mmcv)
    monkeypatch.setattr(setup_env, 'pip_install', pip_install)
    monkeypatch.setattr(setup_env, 'run', lambda *command, **options: steps.append(command))
    monkeypatch.setattr(
        setup_env, 'ops_error', lambda: '' if state['ops'] == 'loaded' else state['ops']
    )
    if built_ops_load:
        setup_env.real_install()
        assert steps[-1][-1] == 's2svr_mm.compat'
    else:
        with pytest.raises(SystemExit, match='undefined symbol\nmmcv was built, but'):
            setup_env.real_install()
    assert ('build',) in steps
    assert ('install', '--force-reinstall', '--no-deps', 'mmcv.whl') in steps


def test_what_outlives_a_killed_setup_keeps_the_next_one_waiting(setup_env):
    pid_file = setup_env.ROOT / 'pid'
    pid_file.touch()
    command = ('sh', '-c', f'echo $$ > {pid_file}; exec sleep 60')

    def run() -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            setup_env.run(*command)

    fcntl.flock(setup_env.LOCK, fcntl.LOCK_EX)
    thread = threading.Thread(target=run)
    thread.start()
    while not pid_file.read_text().endswith('\n'):
        time.sleep(0.01)
    os.close(setup_env.LOCK)  # as if the set-up were gone
    setup_env.LOCK = os.open(setup_env.ROOT, os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(setup_env.LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    thread.join()
    setup_env.main()
    assert setup_env.is_ready()
