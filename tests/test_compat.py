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

from s2svr_mm.checkpoints.files import load_checkpoint_file
from s2svr_mm.errors import CheckpointError


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
