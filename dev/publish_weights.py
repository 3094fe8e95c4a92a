# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Put trained weights into the package: python dev/publish_weights.py CONFIG CHECKPOINT NAME."""

import argparse
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Write the weights of a checkpoint in half precision to '
        's2svr_mm/weights/NAME.pth, from where s2svr://NAME loads them. A network that restores is '
        'described in models.json too, so that s2svr restore finds it by name. Prints what the '
        'card in s2svr_mm/weights/README.md needs.'
    )
    parser.add_argument('config', metavar='CONFIG', help='config that the checkpoint came from')
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='file to take the weights from')
    parser.add_argument('name', metavar='NAME', help='letters, digits, _ and -')
    listed = parser.add_argument_group(
        'what models.json says of a network that restores (default: as it does already)'
    )
    listed.add_argument('--about', metavar='TEXT', help='a line on what it is for')
    listed.add_argument('--task', metavar='TEXT', help="such as 'super-resolution'")
    listed.add_argument('--data', metavar='TEXT', help='what it was trained on')
    parser.add_argument('--folder', metavar='DIR', help="default: the package's weights")
    parser.add_argument('--overwrite', action='store_true', help='replace NAME if it exists')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args()


def main() -> None:
    """Publish."""
    args = parse_args()
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / 's2svr_mm').is_dir():
        sys.path.insert(0, str(checkout))

    from s2svr_mm.cli.reporting import exit_on_user_error

    with exit_on_user_error(args.debug):
        description = dict(about=args.about, task=args.task, data=args.data)
        publish(args.config, args.checkpoint, args.name, description, args.folder, args.overwrite)


def deflated(archive: bytes) -> bytes:
    """Compress what ``torch.save`` wrote; ``torch.load`` reads it as before, but for ``mmap``.

    Args:
        archive (bytes): A ZIP file, nothing in it compressed.

    Returns:
        bytes: The same, about a twelfth smaller with weights of half precision.
    """
    smaller = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(smaller, 'w') as new:
        for entry in old.infolist():
            # The time of an entry is that of 1980, as torch wrote it: equal weights, equal files.
            copy = zipfile.ZipInfo(entry.filename, entry.date_time)
            new.writestr(copy, old.read(entry), zipfile.ZIP_DEFLATED, compresslevel=9)
    return smaller.getvalue()


def publish(
    config: str,
    checkpoint: str,
    name: str,
    description: Mapping[str, str | None],
    folder: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the weights of a network, or of a flow estimator alone.

    Args:
        config (str): Its ``model`` has a ``generator``, or is :class:`UnsupervisedFlow`.
        checkpoint (str): A checkpoint of that model.
        name (str): The weights' name.
        description (Mapping[str, str | None]): What models.json says of a network: 'about', 'task'
            and 'data'. None leaves what it says already.
        folder (str, optional): Where to. Defaults to the package's ``weights``.
        overwrite (bool): Whether to replace weights of that name.

    Returns:
        Path: The file.

    Raises:
        ConfigError: The config has neither, the name will not do, or ``description`` has gaps.
        CheckpointError: The checkpoint does not fit, or holds what half precision cannot.
    """
    import torch
    from mmagic.utils import register_all_modules

    from s2svr_mm.checkpoints.shipped import FOLDER, MODEL_LIST
    from s2svr_mm.comparison.flow import build_estimator
    from s2svr_mm.errors import CheckpointError, ConfigError
    from s2svr_mm.models.input_requirements import requirements_of
    from s2svr_mm.models.zoo import load_model
    from s2svr_mm.utils.config import read_config
    from s2svr_mm.utils.files import AtomicBackend

    target = Path(folder or FOLDER)
    file = target / f'{name}.pth'
    if not name.replace('_', '').replace('-', '').isalnum():
        raise ConfigError(f'{name!r} is not a name for weights: take letters, digits, _ and -')
    if file.exists() and not overwrite:
        raise ConfigError(f'{file} exists already: choose another name, or --overwrite it')
    register_all_modules()
    models = target / MODEL_LIST
    entries = json.loads(models.read_text()) if models.exists() else {}
    listed = 'generator' in (read_config(config).get('model') or {})
    if listed:
        given = {key: text for key, text in description.items() if text}
        entry = {**entries.get(name, {}), **given, 'config': Path(config).name}
        if missing := [f'--{key}' for key in description if not entry.get(key)]:
            raise ConfigError(f'{config} is of a network that restores: give {", ".join(missing)}')
        module, prefix = load_model(config, checkpoint), 'generator.'
        side = requirements_of(module).side
        # The figures were those of other weights.
        entry |= dict(scale=module.scale, smallest_frame=side, metrics=[], licence='Apache-2.0')
        entries[name] = entry
    else:
        module, prefix = build_estimator(name, config, checkpoint, 'cpu').module, ''
    state = module.state_dict()
    half = {f'{prefix}{key}': value.half().contiguous() for key, value in state.items()}
    if beyond := [key for key, value in half.items() if not value.isfinite().all()]:
        raise CheckpointError(f'{checkpoint}: half precision cannot hold {beyond[0]}')
    buffer = io.BytesIO()
    torch.save({'state_dict': half}, buffer)
    backend = AtomicBackend()
    backend.put(deflated(buffer.getvalue()), str(file))
    if listed:
        backend.put_text(json.dumps(entries, indent=2, sort_keys=True) + '\n', str(models))
        print(f'{models}: fill in the metrics of {name} once they are measured')
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    print(f's2svr://{name}: {file.stat().st_size / 1e6:.2f} MB, sha256 {digest}')
    return file


if __name__ == '__main__':
    main()
