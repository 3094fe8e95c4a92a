# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest
import torch

from s2svr_mm.errors import ConfigError
from s2svr_mm.utils.devices import pick_device


@pytest.mark.parametrize(
    ('gpus', 'works', 'device', 'message'),
    [
        (0, False, 'cuda', 'finds no GPU'),
        # An old driver: there is a GPU, and torch can't use it.
        (1, False, 'cuda', 'finds no GPU'),
        (2, True, 'cuda:2', 'cuda:2 .* the last GPU here is cuda:1'),
        (2, True, 'tpu9', "no device 'tpu9'"),
    ],
)
def test_devices_that_are_not_there_are_named(monkeypatch, gpus, works, device, message):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: gpus)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: works)
    with pytest.raises(ConfigError, match=message):
        pick_device(device)


def test_devices_that_are_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert pick_device('cuda') == torch.device('cuda')
    assert pick_device('cuda:1') == torch.device('cuda:1')
    assert pick_device('cpu') == torch.device('cpu')
