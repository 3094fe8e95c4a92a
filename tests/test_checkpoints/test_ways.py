# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Each kind of file by each way to a network: equal weights, or one and the same message."""

import functools
import http.server
import os
import threading

import pytest
import torch
from helpers.clips import moving_clip, write_frames
from helpers.configs import TINY
from helpers.tool_process import CHECKOUT
from mmagic.registry import MODELS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from safetensors.torch import save_file

from s2svr_mm.checkpoints import shipped
from s2svr_mm.comparison.flow import build_estimator
from s2svr_mm.comparison.methods import NetworkMethod
from s2svr_mm.errors import CheckpointError
from s2svr_mm.models import PWCLite
from s2svr_mm.models.zoo import load_model
from s2svr_mm.training.config import load_config
from s2svr_mm.training.detail_branch import build_model
from s2svr_mm.training.runner import build_runner

FLOW = 'flow_estimator.'


@functools.cache
def random_model(config, seed):
    init_default_scope('mmagic')
    torch.manual_seed(seed)
    model = MODELS.build(Config.fromfile(config).model)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return model


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    """A small network with all that ours can have, and an average of its weights."""
    folder = tmp_path_factory.mktemp('ways')
    clip = moving_clip(2, 16, 16)
    for kind in ('lq', 'gt'):
        write_frames(folder / kind / 'clip', clip)
    runtime = CHECKOUT / 'configs' / '_base_' / 'default_runtime.py'
    path = folder / 'config.py'
    path.write_text(TINY.format(runtime=str(runtime), clips=str(folder)))
    cfg = Config.fromfile(path)
    generator = Config.fromfile(CHECKOUT / 'configs' / 's2svr_s_deblur.py').model.generator
    generator.update(mid_channels=4, num_blocks=1)
    generator.detail_branch.update(num_blocks=1)
    generator.flow_estimator.pop('init_cfg')
    cfg.model.generator = generator
    cfg.custom_hooks = [dict(type='EMAHook', momentum=0.002)]
    cfg.dump(path)
    yield path
    MMLogger._instance_dict.clear()


@pytest.fixture(scope='module')
def files(config):
    """One network's weights in all the forms that people have them in, by kind."""
    state, other = (random_model(config, seed).generator.state_dict() for seed in range(2))
    return write_kinds(config.parent, state, other)


@pytest.fixture
def served(config, tmp_path, monkeypatch):
    """The address under which the folder of the config is served."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'cache'))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=config.parent)
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()
    server.server_close()


def under(prefix, state):
    return {prefix + name: value.clone() for name, value in state.items()}


def write_kinds(folder, state, other):
    whole = dict(meta={}, state_dict=under('generator.', state) | {'step_counter': torch.ones(1)})
    contents = {
        'bare': state,
        'state_dict': dict(state_dict=state, epoch=3),
        'params': dict(params=state),
        'params_ema': dict(params=other, params_ema=state),
        'generator': whole,
        'generator_ema': dict(
            state_dict=under('generator.', other) | under('generator_ema.', state)
        ),
        'module': dict(state_dict=under('module.', state)),
        'module.generator': dict(state_dict=under('module.generator.', state)),
        'generator.module': dict(state_dict=under('generator.module.', state)),
        'compiled': dict(state_dict=under('generator._orig_mod.', state)),
        'module.generator.module': dict(state_dict=under('module.generator.module.', state)),
    }
    files = {}
    for kind, content in contents.items():
        files[kind] = str(folder / f'{kind}.pth')
        torch.save(content, files[kind])
    files['safetensors'] = str(folder / 'a.safetensors')
    save_file({name: value.contiguous() for name, value in state.items()}, files['safetensors'])
    return files


class ReadyError(Exception):
    """Ends a run when all is ready for its first step."""


class Stop(Hook):
    priority = 'VERY_LOW'

    def before_train(self, runner):
        raise ReadyError

    before_test = before_train


@functools.cache
def ready_runner(config, action):
    """A runner that is about to train or to test."""
    cfg = load_config(str(config), work_dir=str(config.parent / action))
    runner = build_runner(cfg)
    runner.register_hook(Stop())
    with pytest.raises(ReadyError):
        getattr(runner, action)()
    return runner


def by_runner(config, source, action, resume=False):
    """Weights and average as mmengine's runner loads them."""
    runner = ready_runner(config, action)
    runner._has_loaded, runner._load_from, runner._resume = False, source, resume
    with torch.no_grad():
        for parameter in runner.model.parameters():
            parameter.zero_()
    runner.load_or_resume()
    state = {k: v.clone() for k, v in runner.model.generator.state_dict().items()}
    average = next(hook for hook in runner.hooks if type(hook).__name__ == 'EMAHook').ema_model
    if resume:
        return state, average.module.generator.state_dict()
    assert_equal(average.module.generator.state_dict(), state)
    return state


def by_train_details(config, source):
    return build_model(load_config(str(config), {'load_from': source})).generator.state_dict()


def by_compare(config, source):
    return NetworkMethod('a', str(config), source, device='cpu').restorer.network.state_dict()


def by_evaluate_flow(config, source):
    estimator = build_estimator('a', str(config), source, 'cpu')
    return under(FLOW, estimator.module.state_dict())


def by_init_cfg(config, source):
    estimator = PWCLite(
        normalize_features=True, init_cfg=dict(type='Pretrained', checkpoint=source)
    )
    estimator.init_weights()
    return under(FLOW, estimator.state_dict())


WAYS = {
    'restore': lambda config, source: load_model(config, source).state_dict(),
    'compare': by_compare,
    'evaluate_flow': by_evaluate_flow,
    'init_cfg': by_init_cfg,
    'train_details': by_train_details,
    'train': functools.partial(by_runner, action='train'),
    'test': functools.partial(by_runner, action='test'),
    'resume': functools.partial(by_runner, action='train', resume=True),
}


def assert_equal(found, expected, what=None):
    assert found.keys() <= expected.keys(), what
    assert len(found) > 10, what
    for name, value in found.items():
        assert torch.equal(value, expected[name]), (what, name)


@pytest.mark.parametrize('way', [way for way in WAYS if way != 'resume'])
def test_every_kind_of_file(way, config, files, served, monkeypatch):
    expected = random_model(config, 0).generator.state_dict()
    monkeypatch.setattr(shipped, 'FOLDER', config.parent)
    elsewhere = dict(url=f'{served}/generator.pth?download=1', bundled='s2svr://module.generator')
    for kind, source in {**files, **elsewhere}.items():
        assert_equal(WAYS[way](config, source), expected, kind)


def test_resume_takes_what_mmengine_saves(config, tmp_path):
    """The weights that were trained and their average each go where they belong."""
    trained, average = random_model(config, 0), random_model(config, 1)
    state = dict(
        meta=dict(epoch=0, iter=2),
        message_hub={'log_scalars': {}, 'runtime_info': {}, 'resumed_keys': {}},
        state_dict=average.state_dict(),
        ema_state_dict={**under('module.', trained.state_dict()), 'steps': torch.tensor(2)},
    )
    for prefix in ('', 'module.'):
        content = {**state, 'state_dict': under(prefix, average.state_dict())}
        torch.save(content, tmp_path / 'iter_2.pth')
        found, its_average = WAYS['resume'](config, str(tmp_path / 'iter_2.pth'))
        assert_equal(found, trained.generator.state_dict())
        assert_equal(its_average, average.generator.state_dict())


@pytest.mark.parametrize('way', WAYS)
def test_what_does_not_fit_has_one_message(way, config, tmp_path):
    state = random_model(config, 0).generator.state_dict()
    first = f'{FLOW}pyramid.down.0.weight'
    lacking = {k: v for k, v in state.items() if k != first}
    wrong = {
        'nothing': ({'a': torch.zeros(1)}, 'does not fit', ' missing: '),
        'empty': ({'state_dict': {}}, 'holds no weights of a network, but state_dict'),
        'log': ({'epoch': 3, 'loss': 0.1}, 'holds no weights of a network, but epoch, loss'),
        'lacking': (lacking, '1 missing: ', 'pyramid.down.0.weight'),
        'more': (state | {f'{FLOW}other': torch.zeros(2)}, '1 unexpected: ', 'other'),
        'shape': (state | {first: torch.zeros(2)}, '1 of another shape: ', '(2,) instead of'),
        'cut': (None, 'cannot be read as a checkpoint'),
        'gone': (None, 'there is no checkpoint at'),
    }
    if way == 'resume':
        wrong['lacking'] = (lacking, 'holds weights alone', 'load_from=')
        wrong = {kind: wrong[kind] for kind in ('empty', 'log', 'lacking', 'cut', 'gone')}
    if way == 'train':  # fine-tuning takes what fits, and the log names the rest
        wrong = {kind: wrong[kind] for kind in ('nothing', 'empty', 'log', 'cut', 'gone')}
    for kind, (content, *messages) in wrong.items():
        path = tmp_path / f'{kind}.pth'
        if content is not None:
            torch.save(content, path)
        elif kind == 'cut':
            torch.save(state, path)
            os.truncate(path, 5000)
        with pytest.raises(CheckpointError) as error:
            WAYS[way](config, str(path))
        for message in (str(path), *messages):
            assert message in str(error.value), kind


def test_names_of_other_projects_lead_to_the_converter(config, tmp_path):
    for name in ('backward_trunk.main.0.weight', 'encoder.encoder_layer1_f.conv_gru.convz.weight'):
        torch.save({'params_ema': {name: torch.zeros(1)}}, tmp_path / 'a.pth')
        with pytest.raises(CheckpointError, match=r'convert-weights \(tools/convert_weights'):
            load_model(config, tmp_path / 'a.pth')


def test_what_can_not_be_fetched(served, config):
    with pytest.raises(CheckpointError, match=r'/no\.pth could not be downloaded .*404'):
        load_model(config, f'{served}/no.pth')


def test_a_checkpoint_from_a_url_runs_no_code(served, config, tmp_path):
    class Code:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / 'code_was_run'),)

    torch.save({'state_dict': Code()}, config.parent / 'code.pth')
    for way in ('restore', 'init_cfg', 'test'):
        with pytest.raises(CheckpointError, match='was refused'):
            WAYS[way](config, f'{served}/code.pth')
    assert not (tmp_path / 'code_was_run').exists()


def test_fine_tuning_keeps_what_does_not_fit(config, tmp_path):
    """And its average begins where the network does, not at random."""
    state = random_model(config, 0).generator.state_dict()
    part = {k: v for k, v in state.items() if k.startswith(FLOW)}
    torch.save(dict(state_dict=under('module.generator.', part)), tmp_path / 'part.pth')
    found = WAYS['train'](config, str(tmp_path / 'part.pth'))
    for name, value in found.items():
        assert torch.equal(value, state[name]) == name.startswith(FLOW), name
