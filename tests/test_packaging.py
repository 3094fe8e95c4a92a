# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import ast
import runpy
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import s2svr_mm

CHECKOUT = Path(__file__).resolve().parents[1]
CONFIGS = sorted(p for p in CHECKOUT.glob('configs/**/*.py') if '_base_' not in p.parts)


def files_below(folder: Path) -> set[str]:
    """Paths of all files in a folder and below, relative to it, without caches."""
    paths = (path.relative_to(folder) for path in folder.rglob('*') if path.is_file())
    return {path.as_posix() for path in paths if '__pycache__' not in path.parts}


class TestModelIndex:
    def test_lists_each_config(self):
        models = []
        for file in yaml.safe_load((CHECKOUT / 'model-index.yml').read_text())['Import']:
            index = yaml.safe_load((CHECKOUT / file).read_text())
            collections = {collection['Name'] for collection in index['Collections']}
            assert {model['In Collection'] for model in index['Models']} <= collections
            models += index['Models']
        listed = [model['Config'] for model in models]
        assert sorted(listed) == [path.relative_to(CHECKOUT).as_posix() for path in CONFIGS]
        assert [model['Name'] for model in models] == [Path(config).stem for config in listed]

    def test_names_are_unique(self):
        """Mim searches the package, configs and tools in it, for a config by its name alone."""
        names = [
            path.name
            for folder in ('configs', 'tools', 's2svr_mm')
            for path in (CHECKOUT / folder).rglob('*.py')
        ]
        assert [path.name for path in CONFIGS if names.count(path.name) != 1] == []


# What is imported and the distribution of another name that has it.
DISTRIBUTIONS = dict(
    PIL='pillow', cv2='opencv-python', mmcv='mmcv-lite', skimage='scikit-image', yaml='pyyaml'
)


def imported_from(folder: str) -> set[str]:
    """Distributions that the modules of a folder import, at any level of a function."""
    found = set()
    for path in (CHECKOUT / folder).rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(node.module.split('.')[0])
    beside = {path.stem for path in (CHECKOUT / folder).glob('*.py')}
    found -= {
        *sys.stdlib_module_names,
        *beside,
        's2svr_mm',
        's2svr_launcher',
        'benchmarks',
        'helpers',
    }
    return {DISTRIBUTIONS.get(name, name) for name in found}


def declared(*extras: str) -> set[str]:
    """Distributions that are always installed, and those of some extras."""
    project = tomllib.loads((CHECKOUT / 'pyproject.toml').read_text())['project']
    optional = project['optional-dependencies']
    lines = [*project['dependencies'], *(line for extra in extras for line in optional[extra])]
    return {Requirement(line).name for line in lines}


def test_what_the_package_imports_is_declared():
    found = imported_from('s2svr_mm') | imported_from('tools')
    assert found <= declared('flow', 'onnx', 'openvino', 'web')
    assert {'torch', 'mmcv-lite', 'pillow', 'tqdm', 'mmflow'} <= found


@pytest.mark.parametrize('folder', ['tests', 'benchmarks', 'demo', 'dev'])
def test_what_a_checkout_imports_is_declared(folder):
    assert imported_from(folder) <= declared('flow', 'dev')


def test_hooks_before_a_commit_run_the_ruff_of_make_lint():
    hooks = yaml.safe_load((CHECKOUT / '.pre-commit-config.yaml').read_text())['repos'][0]['hooks']
    project = tomllib.loads((CHECKOUT / 'pyproject.toml').read_text())['project']
    assert hooks[0]['additional_dependencies'][0] in project['optional-dependencies']['dev']


FOLDERS = ('benchmarks', 'configs', 'demo', 'dev', 'docs', 's2svr_mm', 'tests', 'tools')


@pytest.fixture(scope='module')
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and a wheel made of it, of a copy with weights of its own."""
    source, work = tmp_path_factory.mktemp('source'), tmp_path_factory.mktemp('work')
    for folder in FOLDERS:
        ignore = shutil.ignore_patterns('__pycache__', '_build')
        shutil.copytree(CHECKOUT / folder, source / folder, ignore=ignore)
    for file in CHECKOUT.iterdir():
        if file.is_file():
            shutil.copy(file, source)
    (source / 's2svr_mm' / 'weights' / 'probe.pth').write_bytes(b'weights')
    runpy.run_path(str(CHECKOUT / 'dev' / 'check_mim.py'))['build_wheel'](source, work)
    return work


@pytest.fixture(scope='module')
def wheel(distributions: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(next(distributions.glob('*.whl')))


def test_sdist_carries_the_checkout(distributions):
    with tarfile.open(next(distributions.glob('*.tar.gz'))) as sdist:
        carried = {name.partition('/')[2] for name in sdist.getnames()}
    wanted = {f'{folder}/{file}' for folder in FOLDERS for file in files_below(CHECKOUT / folder)}
    wanted = {name for name in wanted if not name.startswith('docs/_build/')}
    wanted |= {'CHANGELOG.md', 'LICENSE', 'Makefile', 'README.md', 'pyproject.toml', 'setup.py'}
    assert wanted <= carried


class TestWheel:
    def test_carries_all_of_the_package(self, wheel):
        wanted = {f's2svr_mm/{file}' for file in files_below(CHECKOUT / 's2svr_mm')}
        assert wanted <= set(wheel.namelist())
        assert wheel.read('s2svr_mm/weights/probe.pth') == b'weights'

    def test_carries_what_mim_looks_for(self, wheel):
        prefix = 's2svr_mm/.mim/'
        carried = {name.removeprefix(prefix) for name in wheel.namelist() if prefix in name}
        wanted = {f'configs/{file}' for file in files_below(CHECKOUT / 'configs')}
        wanted |= {f'tools/{file}' for file in files_below(CHECKOUT / 'tools')}
        assert carried == wanted | {'model-index.yml'}
        assert {'tools/train.py', 'tools/test.py'} <= carried

    def test_carries_nothing_else(self, wheel):
        tops = {name.split('/')[0] for name in wheel.namelist()}
        assert tops == {
            's2svr_mm',
            's2svr_launcher.py',
            f's2svr_mm-{s2svr_mm.__version__}.dist-info',
        }

    def test_metadata(self, wheel):
        (name,) = (name for name in wheel.namelist() if name.endswith('dist-info/METADATA'))
        metadata = message_from_string(wheel.read(name).decode())
        assert metadata['Version'] == s2svr_mm.__version__
        assert metadata['License-Expression'] == 'Apache-2.0'
        assert 'mmcv-lite<2.2,>=2.1' in metadata.get_all('Requires-Dist')
        extras = ['flow', 'onnx', 'openvino', 'web', 'vapoursynth', 'tested', 'docs', 'dev']
        assert metadata.get_all('Provides-Extra') == extras


@pytest.mark.slow
def test_mim_trains_and_tests_the_installed_package(tmp_path):
    script = CHECKOUT / 'dev' / 'check_mim.py'
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"PSNR"' in done.stdout


@pytest.mark.slow
def test_the_wheel_restores_in_an_environment_that_was_empty(tmp_path):
    """Takes minutes and gigabytes, by pip and a package index."""
    script = CHECKOUT / 'dev' / 'check_install.py'
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
