# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Several processes that share one call, started by a launcher or by the first of them.

A process needs to know only how many there are and its own rank, as the work is shared through
locks on files (:mod:`..restoration.claims`). There is no torch.distributed group, in which all
would stop when one of them dies.
"""

import argparse
import multiprocessing
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

from ..errors import ConfigError, S2SVRError
from .reporting import EXIT_DAMAGED, message_of

# Environment variables of each launcher: rank, number of processes, local rank, and number of
# processes on the machine.
LAUNCHERS = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'LOCAL_WORLD_SIZE'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID', 'SLURM_STEP_TASKS_PER_NODE'),
    'mpi': (
        *('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
        'OMPI_COMM_WORLD_LOCAL_SIZE',
    ),
}
_MOST_PROCESSES = 256


class Place(NamedTuple):
    """The place of a process among those of a call.

    Attributes:
        rank (int): Its number, from 0.
        processes (int): How many there are.
        local_rank (int): Its number among those of this machine.
        local_processes (int): How many of them are on this machine.
    """

    rank: int
    processes: int
    local_rank: int
    local_processes: int


def usable_cores() -> int:
    """Count the processors that this process may use, which ``taskset`` or a scheduler limits."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def device_list(text: str) -> list[str]:
    """Parse devices, such as 'cuda:0,cuda:1' or '2xcpu', into one for each process."""
    devices: list[str] = []
    for part in text.split(','):
        match = re.fullmatch(r'(?:([0-9]{1,3})x)?([a-z]+(?::[0-9]{1,3})?)', part.strip())
        if match is None:
            raise argparse.ArgumentTypeError(
                f'{text!r} is not a list of devices, such as cuda:0,cuda:1 or 2xcpu'
            )
        devices += [match[2]] * int(match[1] or 1)
    if not 0 < len(devices) <= _MOST_PROCESSES:
        raise argparse.ArgumentTypeError(
            f'{text!r} asks for {len(devices)} processes, not 1 to {_MOST_PROCESSES}'
        )
    return devices


def add_workers(group: argparse._ActionsContainer) -> None:
    """Add the arguments that make several processes of a call."""
    group.add_argument(
        '--devices',
        type=device_list,
        metavar='LIST',
        help='start a process for each: cuda:0,cuda:1 or 2xcpu',
    )
    group.add_argument(
        '--launcher',
        choices=['none', *LAUNCHERS],
        default='none',
        help='launcher that started this process and the others (default: %(default)s)',
    )


def place_of(launcher: str) -> Place:
    """Find the place of a process that a launcher has started.

    Args:
        launcher: 'pytorch' (torchrun), 'slurm' or 'mpi' (Open MPI).

    Raises:
        ConfigError: The launcher's environment variables are not set.
    """
    names = LAUNCHERS[launcher]
    try:
        rank, count = (int(os.environ[name]) for name in names[:2])
        local_rank = int(os.environ.get(names[2], rank))
    except (KeyError, ValueError):
        command = {
            'pytorch': 'torchrun --nproc-per-node 2 -m s2svr_mm.cli restore ...',
            'slurm': 'srun --ntasks 2 s2svr restore ...',
            'mpi': 'mpirun -n 2 s2svr restore ...',
        }[launcher]
        raise ConfigError(
            f'--launcher {launcher} is for a process that it has started, but {names[0]} and '
            f'{names[1]} are not set: {command} --launcher {launcher}'
        ) from None
    local = os.environ.get(names[3]) or '1'
    if launcher == 'slurm':
        return Place(rank, count, local_rank, _tasks_of_node(local))
    return Place(rank, count, local_rank, int(local))


def _tasks_of_node(text: str) -> int:
    """Find the tasks of this node in Slurm's list of all nodes, '4(x2),1' for 4, 4 and 1."""
    counts: list[int] = []
    for part in text.split(','):
        count, _, times = part.rstrip(')').partition('(x')
        counts += [int(count)] * int(times or 1)
    node = int(os.environ.get('SLURM_NODEID', 0))
    return counts[node]


def device_of(place: Place, device: str) -> str:
    """Choose the device of a process: with 'auto', each GPU of a machine in turn."""
    if device != 'auto':
        return device
    import torch

    gpus = torch.cuda.device_count()
    return f'cuda:{place.local_rank % gpus}' if gpus else 'cpu'


def run_on(
    devices: list[str],
    args: argparse.Namespace,
    work: Callable[[argparse.Namespace, Place], int],
) -> int:
    """Carry out a call in a process for each device, of which this is the first.

    Args:
        devices: Where each runs.
        args: Arguments of the call.
        work: What each does; returns an exit status. It has to be importable by its name.

    Returns:
        int: The exit status: 0 if the work was done, or 3 if the input is damaged, even if some of
        the processes failed; otherwise 1.
    """
    _share_processors(len(devices))
    context = multiprocessing.get_context('spawn')
    others: list[BaseProcess] = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        for rank, device in enumerate(devices[1:], 1):
            place = Place(rank, len(devices), rank, len(devices))
            others.append(context.Process(target=_other, args=(work, args, place, device)))
            others[-1].start()
        statuses = [_status(work, args, Place(0, len(devices), 0, len(devices)), devices[0])]
    except (KeyboardInterrupt, SystemExit):
        for process in others:
            process.terminate()
        raise
    finally:
        for process in others:
            process.join()
    statuses += [process.exitcode or 0 for process in others]
    ended_well = [status for status in statuses if status in (0, EXIT_DAMAGED)]
    for rank, status in enumerate(statuses):
        if ended_well and status not in ended_well:
            how = f'was killed by signal {-status}' if status < 0 else f'failed with {status}'
            print(f'note: process {rank} ({devices[rank]}) {how}; the others did its work')
    # Whoever has made the output knows whether it is damaged.
    return max(ended_well, default=1)


def _share_processors(count: int) -> None:
    """Leave to each process its share of the processors, unless the user has said otherwise."""
    if 'OMP_NUM_THREADS' not in os.environ:
        threads = max(usable_cores() // count, 1)
        os.environ['OMP_NUM_THREADS'] = str(threads)
        if 'torch' in sys.modules:
            sys.modules['torch'].set_num_threads(threads)


def _status(work: Callable[..., int], args: Any, place: Place, device: str) -> int:
    args = argparse.Namespace(**{**vars(args), 'device': device})
    try:
        return work(args, place)
    except S2SVRError as error:
        if args.debug:
            traceback.print_exc()
        print(f'\nerror (process {place.rank}, {device}): {message_of(error)}', file=sys.stderr)
    except Exception:
        # A bug here, or memory that a device lacks, is no reason to stop the others.
        traceback.print_exc()
    return 1


def _other(work: Callable[..., int], args: Any, place: Place, device: str) -> None:
    # One bar shows what all have done.
    args.quiet = True
    try:
        sys.exit(_status(work, args, place, device))
    except KeyboardInterrupt:
        sys.exit(130)
