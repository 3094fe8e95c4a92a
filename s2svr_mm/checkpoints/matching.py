# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Weights of flow networks: all of them fit, or none are taken."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from s2svr_mm.compat import CheckpointError
from s2svr_mm.compat.checkpoint import load_checkpoint_file

# The weights that come with the package.
SCHEME = 's2svr://'
FOLDER = Path(__file__).resolve().parents[2] / 'weights'


@CheckpointLoader.register_scheme(prefixes=SCHEME)
def load_from_package(filename: str, map_location: Any = 'cpu') -> dict:
    """Reads weights that come with the package, ``s2svr://NAME``.

    Args:
        filename (str): ``s2svr://`` and the file's name without ``.pth``.
        map_location (Any): Same as in :func:`torch.load`.

    Returns:
        dict: The checkpoint.

    Raises:
        FileNotFoundError: If the package has no weights of that name; lists those it has.
    """
    name = filename.removeprefix(SCHEME)
    path = FOLDER / f'{name}.pth'
    if not path.is_file():
        names = ', '.join(sorted(file.stem for file in FOLDER.glob('*.pth'))) or 'none'
        raise FileNotFoundError(f'no weights {filename} come with s2svr_mm; there are: {names}')
    return load_checkpoint_file(path, map_location)


class StrictInit(BaseModule):
    """A module whose ``init_cfg`` of type 'Pretrained' loads all of its weights or fails.

    mmengine's own leaves out what does not fit and goes on.
    """

    def init_weights(self) -> None:
        """Initializes the weights as ``init_cfg`` says.

        Raises:
            CheckpointError: If the weights of the checkpoint do not fit.
        """
        cfg = self.init_cfg
        if isinstance(cfg, dict) and cfg['type'] == 'Pretrained':
            load_weights(self, cfg['checkpoint'], cfg.get('prefix', ''))
            self.is_init = True
        else:
            super().init_weights()


def load_weights(module: nn.Module, checkpoint: str, prefix: str = '') -> None:
    """Loads the weights of a whole module.

    Args:
        module (nn.Module): Gets the weights.
        checkpoint (str): File, URL, or ``s2svr://NAME``; half-precision weights do too.
        prefix (str): What stands before the module's names in the checkpoint: ``'estimator'`` in
            one of :class:`UnsupervisedFlow`, ``'generator.flow_estimator'`` in one of
            :class:`S2SVR`. Defaults to ''.

    Raises:
        CheckpointError: If a key is missing or left over, or a shape differs; the module is then
            as it was.
    """
    loaded = CheckpointLoader.load_checkpoint(checkpoint, 'cpu', logger='current')
    weights = loaded.get('state_dict', loaded) if isinstance(loaded, Mapping) else {}
    start = prefix.rstrip('.') + '.' if prefix else ''
    expected = module.state_dict()
    constants = {name for name, _ in module.named_buffers()} - set(expected)
    given = {k.removeprefix(start): v for k, v in weights.items() if k.startswith(start)}
    given = {key: value for key, value in given.items() if key not in constants}
    faults = _faults(given, expected)
    if faults:
        raise CheckpointError(
            f'{checkpoint} does not hold the weights of a {type(module).__name__}'
            + (f' under the prefix {prefix!r}' if prefix else '')
            + f': {faults}.{_advice(weights, expected)}'
        )
    module.load_state_dict(given)
    print_log(f'{type(module).__name__}: weights from {checkpoint}', logger='current')


def _faults(given: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    missing = [key for key in expected if key not in given]
    unknown = [key for key in given if key not in expected]
    misshapen = [
        f'{key} ({tuple(given[key].shape)} for {tuple(value.shape)})'
        for key, value in expected.items()
        if key in given and given[key].shape != value.shape
    ]
    named = (('missing', missing), ('unknown', unknown), ('of another shape', misshapen))
    return '; '.join(
        f'{len(keys)} keys {fault}: {", ".join(keys[:3])}{", ..." if len(keys) > 3 else ""}'
        for fault, keys in named
        if keys
    )


def _advice(weights: Mapping[str, Any], expected: Mapping[str, Tensor]) -> str:
    """Names the prefixes under which all that is missing lies, if there are any."""
    first = next(iter(expected))
    prefixes = [
        key.removesuffix(first).rstrip('.')
        for key in weights
        if key.endswith('.' + first)
        and all(key.removesuffix(first) + name in weights for name in expected)
    ]
    if prefixes:
        return f' They lie under another prefix: give prefix={" or ".join(map(repr, prefixes))}.'
    if any('feature_pyramid_extractor' in key for key in weights):
        return ' The names are official ones: convert the file with tools/convert_weights.py.'
    return ''
