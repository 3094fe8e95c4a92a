# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Convert weights: python tools/convert_weights.py SRC DST.

Official S2SVR (linjing7/VR-Baseline) or ARFlow's PWC-Lite to this project's names; with
--to-official the other way. BasicSR's BasicVSR to mmagic's names, for configs/basicvsr_*.py.
"""

import argparse
import sys
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Convert weights of the official S2SVR or of ARFlow's PWC-Lite to this "
        "project's names, or of BasicSR's BasicVSR to mmagic's (the names in SRC show which). DST "
        'loads as a checkpoint (load_from, tools/test.py), or, for PWC-Lite, through the '
        "estimator's init_cfg."
    )
    parser.add_argument('src', metavar='SRC', help='checkpoint or bare state dict')
    parser.add_argument('dst', metavar='DST', help='file to write')
    parser.add_argument(
        '--to-official', action='store_true', help="this project's names to the official ones"
    )
    parser.add_argument('--overwrite', action='store_true', help='replace DST if it exists')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args()


def main() -> None:
    """Convert."""
    args = parse_args()
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / 's2svr_mm').is_dir():
        sys.path.insert(0, str(checkout))

    from s2svr_mm.cli.reporting import exit_on_user_error

    with exit_on_user_error(args.debug):
        convert(Path(args.src), Path(args.dst), args.to_official, args.overwrite)


def convert(src: Path, dst: Path, back: bool, overwrite: bool) -> None:
    """Convert a file.

    Args:
        src: A checkpoint (with a ``state_dict``, or BasicSR's ``params``) or a bare state dict.
        dst: The file to write: a checkpoint for a whole model, a bare state dict for the network
            or the flow estimator alone under its official names.
        back: Whether to convert to the official names.
        overwrite: Whether to replace an older ``dst``.

    Raises:
        ValueError: If a key is unknown, missing or mis-shaped, or ``dst`` exists.
        CheckpointError: If ``src`` is no whole or no safe checkpoint.
    """
    import torch

    from s2svr_mm.checkpoints.files import read_weights, save_weights
    from s2svr_mm.models.conversion import ConversionReport, from_official, to_official
    from s2svr_mm.models.conversion_basicsr import from_basicsr_basicvsr, is_basicsr_basicvsr

    if dst.exists() and not overwrite:
        raise ValueError(f'{dst} exists already: choose another name, or --overwrite it')
    state_dict = read_weights(src)
    basicvsr = not back and is_basicsr_basicvsr(state_dict)
    convert_names = from_basicsr_basicvsr if basicvsr else to_official if back else from_official
    report = ConversionReport()
    try:
        converted = convert_names(state_dict, report)
    except ValueError as error:
        raise ValueError(f'{src}: {error}') from None
    whole = basicvsr or any(key.startswith('encoder.') for key in converted)
    if whole and not back:
        converted = {f'generator.{key}': value for key, value in converted.items()}
    if basicvsr:
        converted['step_counter'] = torch.zeros(1)  # mmagic's model counts iterations in it
    save_weights(converted, dst)
    print(report)
    print(
        f'{len(state_dict)} tensors in {src} -> {len(converted)} in {dst}; '
        f'{len(report.dropped)} that no forward pass uses were dropped'
    )


if __name__ == '__main__':
    main()
