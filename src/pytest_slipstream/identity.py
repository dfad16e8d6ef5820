"""Who this process is in its run: the testrun uid, and the worker id.

The controller of a run tells its pytest-xdist workers the testrun uid through one environment
variable. The invariant: two processes never have the same identity, also when a test starts a
pytest of its own, in its process or in another; so a worker believes the variable only if it names
its own parent, and removes it.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import MutableMapping

import msgspec

VARIABLE = "SLIPSTREAM_TESTRUN"


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """One process of one run. The names and locks of its slots are made from it."""

    testrun_uid: str
    worker: str


def identify(environ: MutableMapping[str, str]) -> Owner:
    """The identity of this process; the variable is left for its own workers.

    Args:
        environ: The environment, from which pytest-xdist's and our own variables are read.
    """
    worker = environ.get("PYTEST_XDIST_WORKER")
    uid, _, parent = environ.pop(VARIABLE, "").partition(":")
    if worker and parent == str(os.getppid()):
        return Owner(testrun_uid=uid, worker=worker)
    uid = uuid.uuid4().hex
    environ[VARIABLE] = f"{uid}:{os.getpid()}"
    return Owner(testrun_uid=uid, worker="main")
