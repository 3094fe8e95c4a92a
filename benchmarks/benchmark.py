# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Measure S2SVR beside other networks: python benchmarks/benchmark.py."""

import argparse
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from s2svr_launcher import unregistered

with unregistered():
    from s2svr_mm.cli.arguments import add_debug, add_device, frame_size, whole_number

MODELS = ['s2svr', 'reference', 'basicvsr', 'iconvsr', 'basicvsr_pp']


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Time, memory and arithmetic of S2SVR beside its reference implementation and '
        "mmagic's networks, run in turn in one process. Writes results.json, table.md and "
        'plot.png.'
    )
    parser.add_argument('--models', nargs='+', choices=MODELS, default=MODELS, help='default: all')
    parser.add_argument(
        '--base',
        choices=MODELS,
        help='what the others are compared with (default: reference, or else the last of --models)',
    )
    parser.add_argument(
        '--config', metavar='FILE', help='config of the S2SVR to run (default: 64/13/3, x4)'
    )
    parser.add_argument(
        '--checkpoint', metavar='FILE', help='its weights (default: random ones, as for the rest)'
    )
    parser.add_argument(
        '--size', type=frame_size, metavar='WxH', help='default: 160x90, in training 64x64'
    )
    parser.add_argument('--frames', type=whole_number(1), help='default: 8, in training 7')
    parser.add_argument(
        '--frames-from', metavar='SRC', help='video or folder of frames (default: a moving texture)'
    )
    parser.add_argument(
        '--dtype',
        nargs='+',
        choices=['float32', 'bfloat16'],
        default=['float32'],
        help='of S2SVR, one row each; the others run in float32, their default way',
    )
    add_device(parser)
    parser.add_argument('--threads', type=whole_number(1), help="default: torch's choice")
    parser.add_argument(
        '--rounds',
        type=whole_number(1),
        default=5,
        help='up to three times as many while ratios vary by more than 10 %% (default: 5)',
    )
    parser.add_argument('--compile', action='store_true', help='S2SVR through torch.compile too')
    parser.add_argument(
        '--training',
        action='store_true',
        help='forward and backward pass of 4 clips, S2SVR with and without with_cp',
    )
    parser.add_argument(
        '--flow', action='store_true', help='the flow network of S2SVR by itself too'
    )
    parser.add_argument(
        '--profile', action='store_true', help='where the time of one forward pass goes'
    )
    sweep = parser.add_argument_group('sweep: S2SVR on other clips, after the comparison')
    sweep.add_argument('--sweep-frames', nargs='+', type=whole_number(1), default=[], metavar='N')
    sweep.add_argument('--sweep-sizes', nargs='+', type=frame_size, default=[], metavar='WxH')
    parser.add_argument(
        '--out', default='work_dirs/benchmark', metavar='DIR', help='default: work_dirs/benchmark'
    )
    add_debug(parser)
    args = parser.parse_args()
    if (args.config is None) != (args.checkpoint is None):
        parser.error('--config and --checkpoint go together')
    if args.base is not None and args.base not in args.models:
        parser.error(f'--base {args.base} is not among --models')
    needs = ('flow', 'profile', 'compile', 'sweep_frames', 'sweep_sizes')
    if 's2svr' not in args.models and any(getattr(args, option) for option in needs):
        parser.error('--flow, --profile, --compile and the sweep are of s2svr: add it to --models')
    if args.training and (args.frames_from or args.flow or args.profile or sweeps(args)):
        parser.error('--training goes without --frames-from, --flow, --profile and the sweep')
    # From here on (height, width), as in tensors.
    args.size = (args.size or ((64, 64) if args.training else (160, 90)))[::-1]
    args.sweep_sizes = [size[::-1] for size in args.sweep_sizes]
    args.frames = args.frames or (7 if args.training else 8)
    return args


def sweeps(args: argparse.Namespace) -> bool:
    """Whether a sweep is asked for."""
    return bool(args.sweep_frames or args.sweep_sizes)


def main() -> None:
    """Measure."""
    args = parse_args()
    from s2svr_mm import register
    from s2svr_mm.cli.reporting import exit_on_user_error

    with exit_on_user_error(args.debug):
        register()
        report = benchmark(args)
        files = report.write(args.out)
        print('\n' + report.markdown())
        print('Written: ' + ', '.join(map(str, files)))


def benchmark(args: argparse.Namespace):
    """Measure as the command line says; returns the report."""
    import torch

    from benchmarks import cases as cases_api
    from benchmarks.measuring import ConvolutionPeak, describe_machine, memory_is
    from benchmarks.operator_profile import profile_network
    from benchmarks.report import Report
    from benchmarks.rounds import agreements, compare, name_of, sweep
    from s2svr_mm.models.zoo import load_model
    from s2svr_mm.utils.devices import pick_device
    from s2svr_mm.utils.files import make_folder

    make_folder(Path(args.out))
    cases_api.check_clip(args.models, args.frames, args.size)
    device = pick_device(args.device)
    if args.threads:
        torch.set_num_threads(args.threads)
    machine = describe_machine(device)
    dtypes = [getattr(torch, name) for name in dict.fromkeys(args.dtype)]
    torch.manual_seed(0)
    net = load_model(args.config, args.checkpoint) if args.config else cases_api.random_s2svr()
    cases = cases_api.make_cases(
        net, args.models, dtypes, device, args.training, args.flow, args.compile
    )
    clip = (
        cases_api.read_clip(args.frames_from, args.frames, args.size)
        if args.frames_from
        else cases_api.moving_clip(args.frames, args.size, batch=4 if args.training else 1)
    )
    types = dict.fromkeys(case.dtype for case in cases)
    peaks = {dtype: ConvolutionPeak(args.size, dtype, device) for dtype in types}

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    base = choose_base(args, cases)
    clip = clip.to(device)
    results, outputs = compare(cases, clip, args.rounds, list(peaks.values()), base, say)
    profiles = {}
    if args.profile:
        for dtype in dtypes:
            say(f'profile in {name_of(dtype)}')
            peaks[dtype].measure()
            profiles[name_of(dtype)] = profile_network(net, clip, dtype)
            peaks[dtype].measure()
    points = [(frames, args.size) for frames in args.sweep_frames]
    points += [(args.frames, size) for size in args.sweep_sizes]
    swept = sweep(results[0].case, points, args.rounds, say) if points else []
    return Report(
        settings=dict(vars(args), command=shlex.join(['python', *sys.argv])),
        machine=machine,
        memory_is=memory_is(device),
        peaks={name_of(dtype): peak.best for dtype, peak in peaks.items()},
        results=results,
        base=next(result for result in results if result.case is base),
        agreements=list(agreements(cases, outputs)),
        sweep=[(size, result) for (_, size), result in zip(points, swept, strict=True)],
        profiles=profiles,
    )


def choose_base(args: argparse.Namespace, cases: list):
    """Choose what the others are compared with."""
    wanted = args.base or ('reference' if 'reference' in args.models else args.models[-1])
    return next(case for case in cases if case.key == wanted)


if __name__ == '__main__':
    main()
