# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Threads beside the network: one reads ahead, one writes the results."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Generic, TypeVar

T = TypeVar('T')

# How often a thread that waits looks whether all is over.
_POLL_SECONDS = 0.1


class _Stopped(Exception):  # noqa: N818
    """The other side has gone."""


class _BoundedQueue(Generic[T]):
    """A queue that neither side waits at for ever."""

    def __init__(self, size: int) -> None:
        self._queue: queue.Queue[T] = queue.Queue(size)
        self.stopped = threading.Event()

    def put(self, item: T) -> None:
        while not self.stopped.is_set():
            try:
                return self._queue.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
        raise _Stopped

    def get(self) -> T:
        while not self.stopped.is_set():
            try:
                return self._queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
        raise _Stopped


class Prefetcher(Iterator[T]):
    """Iterate in a thread of its own, a bounded number of items ahead.

    An error of the iterable is raised where its item would have been.

    Args:
        iterable (Iterable): What to iterate over.
        size (int): Items that may wait.
    """

    def __init__(self, iterable: Iterable[T], size: int) -> None:
        self._queue: _BoundedQueue[tuple[Any, BaseException | None]] = _BoundedQueue(size)
        self._thread = threading.Thread(
            target=self._run, args=(iterable,), name='restore-read', daemon=True
        )
        self._thread.start()

    def _run(self, iterable: Iterable[T]) -> None:
        try:
            try:
                for item in iterable:
                    self._queue.put((item, None))
            except _Stopped:
                raise
            except BaseException as error:
                self._queue.put((None, error))
            else:
                self._queue.put((None, StopIteration()))
        except _Stopped:
            if hasattr(iterable, 'close'):
                iterable.close()

    def __next__(self) -> T:
        try:
            item, error = self._queue.get()
        except _Stopped:
            raise StopIteration from None
        if error is not None:
            self._queue.stopped.set()
            raise error
        return item

    def close(self) -> None:
        """Stop fetching and wait for the thread."""
        self._queue.stopped.set()
        self._thread.join()


class BackgroundCalls:
    """Make calls one after the other in a thread of its own, a bounded number behind.

    Args:
        size (int): Calls that may wait.
    """

    def __init__(self, size: int) -> None:
        self._queue: _BoundedQueue[Callable[[], object] | None] = _BoundedQueue(size)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name='restore-write', daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while (call := self._queue.get()) is not None:
                call()
        except _Stopped:
            return
        except BaseException as error:
            self._error = error
            self._queue.stopped.set()

    def add(self, call: Callable[[], object]) -> None:
        """Add a call.

        Raises:
            BaseException: What an earlier call raised; none is made after it.
        """
        try:
            self._queue.put(call)
        except _Stopped:
            raise self._error or RuntimeError('no calls after close') from None

    def finish(self) -> None:
        """Wait until all calls are made; raises what one of them raised."""
        with suppress(_Stopped):
            self._queue.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def abandon(self) -> None:
        """Wait for the call in progress and forget the others."""
        self._queue.stopped.set()
        self._thread.join()
