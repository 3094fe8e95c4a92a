# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner.checkpoint import CheckpointLoader, load_checkpoint
from torch import nn

from s2svr_mm.checkpoints.files import open_checkpoint, read_weights
from s2svr_mm.checkpoints.matching import load_into, match_weights
from s2svr_mm.errors import CheckpointError


class TestLoadInto:
    @pytest.fixture
    def model(self):
        model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
        model.register_buffer('counter', torch.zeros(1))
        return model

    def test_counters_may_be_missing(self, model):
        state = {k: v + 1 for k, v in model.state_dict().items() if k != 'counter'}
        assert load_into(model, state, 'file.pth') is None
        assert torch.equal(model[0].weight, state['0.weight'])
        assert model.counter == 0

    def test_lists_what_is_wrong(self, model):
        state = model.state_dict()
        state['0.weight'] = torch.zeros(5, 2)
        state['other.weight'] = state.pop('1.weight')
        with pytest.raises(CheckpointError) as error:
            load_into(model, state, 'folder/file.pth')
        for part in (
            'folder/file.pth does not fit Sequential',
            '1 missing: 1.weight',
            '1 unexpected: other.weight',
            '1 of another shape: 0.weight (5, 2) instead of (3, 2)',
            '3 of 5 fit',
        ):
            assert part in str(error.value)

    def test_long_lists_are_shortened(self):
        model = nn.Sequential(*(nn.Linear(1, 1) for _ in range(20)))
        with pytest.raises(CheckpointError, match=r'40 missing: .* and 36 more') as error:
            load_into(model, {}, 'file.pth')
        assert len(str(error.value)) < 500

    def test_part_is_enough_for_fine_tuning(self, model):
        state = {'0.weight': torch.ones(3, 2), 'other': torch.zeros(2)}
        found, misfit = match_weights(model, state, 'file.pth', partly=True)
        assert '1 unexpected: other' in misfit
        assert torch.equal(found['0.weight'], torch.ones(3, 2))
        assert torch.equal(found['1.weight'], model[1].weight)
        # A counter alone is no part of a network.
        for nothing in ({'other': torch.zeros(2)}, {'counter': torch.ones(1)}):
            with pytest.raises(CheckpointError, match=r'[01] of 5 fit'):
                match_weights(model, nothing, 'file.pth', partly=True)


@pytest.mark.parametrize(
    'content', [[], {'state_dict': 3}, {'epoch': 3}, 'text', {'state_dict': {'a': 'b'}}]
)
def test_no_weights(tmp_path, content):
    torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match=r'a\.pth holds no weights of a network'):
        read_weights(tmp_path / 'a.pth')


class _Call:
    """Pickled as a call, as an attack is."""

    def __init__(self, function: Callable, *args: object) -> None:
        self.call = (function, args)

    def __reduce__(self) -> tuple:
        return self.call


class TestOpenCheckpoint:
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
        'load', [open_checkpoint, CheckpointLoader.load_checkpoint], ids=['ours', 'mmengine']
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
            open_checkpoint(file)

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
            open_checkpoint(file)

    def test_no_checkpoint_at_all(self, file):
        file.write_text('<html>404: not found</html>')
        with pytest.raises(CheckpointError, match=r'iter_5\.pth'):
            open_checkpoint(file)

    def test_missing(self, file):
        with pytest.raises(CheckpointError, match=r'there is no checkpoint at .*iter_5\.pth'):
            open_checkpoint(file)
