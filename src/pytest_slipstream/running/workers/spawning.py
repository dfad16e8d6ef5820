"""Workers that begin as new processes, and collect the tests for themselves."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest

from pytest_slipstream.running.scheduled import HIDDEN, SHARD
from pytest_slipstream.running.workers.handle import Worker
from pytest_slipstream.running.workers.messages import Begin
from pytest_slipstream.running.workers.process import Identity
from pytest_slipstream.running.workers.telling import Node


class Spawning:
    """Spawns workers.

    Args:
        config: pytest's.
        count: How many workers there will be at once.
        testrun_uid: The run's.
    """

    def __init__(self, config: Any, count: int, testrun_uid: str) -> None:
        self._config = config
        self._count = count
        self._testrun_uid = testrun_uid
        self._numbers = itertools.count()
        self._base: Path | None = None
        if config.pluginmanager.has_plugin("tmpdir"):
            self._base = config._tmp_path_factory.getbasetemp()

    def start(self, others: Sequence[Worker]) -> Worker:
        """Spawn one more worker."""
        identity = Identity(f"gw{next(self._numbers)}", self._count, self._testrun_uid)
        ours, theirs = Pipe()
        reading, writing = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.spawned", str(theirs.fileno())],
            cwd=self._config.invocation_params.dir,
            env=os.environ | self._config.stash.get(HIDDEN, {}) | identity.variables(),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
        )
        theirs.close()
        os.close(writing)
        worker = Worker(identity.worker_id, process, ours, reading)
        worker.send(self._begin(identity))
        return worker

    def _begin(self, identity: Identity) -> Begin:
        config = self._config
        told = identity.worker_input()
        seed = config.getoption("randomly_seed", None)
        if seed is not None:
            told["randomly_seed"] = seed
        sharding = config.pluginmanager.get_plugin("slipstream-shard")
        if sharding is not None:
            told[SHARD] = sharding.name
        if config.pluginmanager.has_plugin("_cov"):
            told["cov_master_host"] = socket.gethostname()
            told["cov_master_topdir"] = os.fspath(config.invocation_params.dir)
            told["cov_master_rsync_roots"] = []
        self._let_plugins_add(identity, told)
        arguments = [*map(str, config.invocation_params.args)]
        if self._base is not None:
            arguments.append(f"--basetemp={self._base / f'popen-{identity.worker_id}'}")
        return Begin(arguments, list(sys.path), told)

    def _let_plugins_add(self, identity: Identity, told: dict[str, Any]) -> None:
        """Plugins tell workers of pytest-xdist's in its own hook, where it is installed."""
        manager = self._config.pluginmanager
        if hasattr(self._config.hook, "pytest_configure_node"):
            # pytest-cov expects there what it only has when pytest-xdist starts the workers.
            hook = manager.subset_hook_caller("pytest_configure_node", [manager.get_plugin("_cov")])
            node: Any = Node(identity.worker_id)
            node.config, node.workerinput = self._config, told
            hook(node=node)


def difference(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """What two processes collected differently, in words; "" where it is the same."""
    if list(ours) == list(theirs):
        return ""
    for text, one, other in (("only here", ours, theirs), ("only in the worker", theirs, ours)):
        missing = sorted(set(one) - set(other))
        if missing:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            return f"{text}: {', '.join(missing[:3])}{more}"
    if len(ours) != len(theirs):
        return f"{len(ours)} tests here, {len(theirs)} in the worker, with the same ids"
    place = next(n for n, (one, other) in enumerate(zip(ours, theirs, strict=True)) if one != other)
    return f"another order from test {place + 1} on: {ours[place]} here, {theirs[place]} there"


def collected(session: pytest.Session) -> list[str]:
    """The node ids of the collected tests, in order."""
    return [item.nodeid for item in session.items]
