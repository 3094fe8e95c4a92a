# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import argparse
import re

import pytest

from s2svr_mm.cli import restore
from s2svr_mm.errors import ConfigError, S2SVRError
from s2svr_mm.models.zoo import list_models
from s2svr_mm.restoration.output_size import default_model
from s2svr_mm.web.offers import RestoreSettings, list_tasks

# One value of each setting that is not its default.
ALL = dict(
    model='s2svr_s_deblur',
    device='cpu',
    dtype='float32',
    window=20,
    tile=128,
    memory=800,
    scene_cuts=False,
    tta=True,
    first=3,
    end=9,
    size_change='scale',
    strict=True,
    backend='auto',
    size='1080p',
    suffix='.mkv',
    codec='libx265',
    crf=21.5,
    preset='slow',
)


def test_each_bundled_model_is_offered_once():
    tasks = list_tasks()
    offered = [model['name'] for task in tasks for model in task['models']]
    assert sorted(offered) == sorted(list_models())
    labels = [task['label'] for task in tasks]
    assert len(set(labels)) == len(labels)
    assert labels == ['Enlarge x2', 'Enlarge x4', 'Clean up compression', 'Deblur']


def test_what_is_offered_first_is_the_default_of_the_command():
    assert list_tasks()[0]['models'][0]['name'] == default_model(None)


@pytest.mark.parametrize(
    'given', [ALL, {'model': 's2svr_s_x4'}, {**ALL, 'end': None, 'size': '2x'}]
)
def test_the_command_means_what_the_page_does(given):
    """``s2svr restore`` itself parses it; what it makes of it is what the worker gets."""
    settings = RestoreSettings.from_json(given)
    parser = argparse.ArgumentParser()
    restore.add_arguments(parser)
    program, name, *words = settings.command('in.mp4', 'out.mp4')
    assert (program, name) == ('s2svr', 'restore')
    args = vars(parser.parse_args(words))
    assert (args['src'], args['dst']) == ('in.mp4', 'out.mp4')
    assert args['frames'] == settings.frames
    assert args['memory'] == settings.restorer_arguments()['memory_limit']
    for key in set(ALL) - {'memory', 'first', 'end', 'suffix'}:
        assert args[key] == getattr(settings, key), key
    assert RestoreSettings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        ({'model': 's2svr_s_x9'}, "no model 's2svr_s_x9'"),
        ({'model': '../weights'}, 'no model'),
        ({'window': '20'}, "window cannot be '20'"),
        ({'window': True}, 'window cannot be True'),
        ({'window': 0}, 'window must be at least 1'),
        ({'tta': 1}, 'tta cannot be 1'),
        ({'end': 3}, 'frames 3:3'),
        ({'suffix': '.exe'}, '.exe files are not written'),
        ({'suffix': '/../x.mp4'}, 'files are not written'),
        ({'dtype': 'int4'}, 'dtype'),
        ({'size_change': 'split'}, 'size_change'),
        ({'memory': 0}, 'memory'),
        ({'size': '1080'}, "a size is 1920x1080, 1080p or 2x, but got '1080'"),
        ({'backend': 'tensorrt'}, 'backend'),
        ({'overwrite': True}, "no setting 'overwrite'"),
    ],
)
def test_what_is_not_possible_is_refused(changed, message):
    with pytest.raises(S2SVRError, match=re.escape(message)):
        RestoreSettings.from_json({**ALL, **changed})


@pytest.mark.parametrize('data', [None, [], {}, 'x', {'model': 3}])
def test_what_is_no_settings_is_refused(data):
    with pytest.raises(ConfigError, match='settings name a model'):
        RestoreSettings.from_json(data)
