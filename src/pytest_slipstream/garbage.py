"""The garbage collector: paused while much is made and nothing dropped, spared what stays."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

_FROZEN_BY_PYTHON = gc.get_freeze_count()  # some hundred objects in 3.12, which need not be


@contextmanager
def paused() -> Iterator[None]:
    """To import modules or collect tests allocates much and frees little: looking takes only time.

    That is also true of the collection that would follow at once: what is there at the end goes
    to the oldest generation unlooked at, where a full collection finds it. What the imported code
    itself tells the collector holds.
    """
    with _threshold(0) as before:
        yield
        # What others froze stays frozen.
        if before and gc.isenabled() and gc.get_freeze_count() <= _FROZEN_BY_PYTHON:
            gc.freeze()
            gc.unfreeze()


def spared_at_exit() -> None:
    """Python looks at everything once more when it ends, only to throw it away: let it not."""
    atexit.register(gc.freeze)


@contextmanager
def frozen() -> Iterator[None]:
    """Leave what is there now out of collections: looking at it takes long, and finds nothing.

    It also stays shared with the processes that are forked from this one. A process that has frozen
    something itself keeps it so.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def looked_for_less(times: int) -> Iterator[None]:
    """Collect after so many times the usual allocations.

    What many tests in flight have made is alive: each look at it takes so many times as long.
    """
    with _threshold(gc.get_threshold()[0] * times):
        yield


@contextmanager
def _threshold(young: int) -> Iterator[int]:
    """Set the first threshold, unless somebody else does meanwhile; yields what it was."""
    before, *older = gc.get_threshold()
    gc.set_threshold(young, *older)
    try:
        yield before
    finally:
        if gc.get_threshold() == (young, *older):
            gc.set_threshold(before, *older)
