from __future__ import annotations

import os

from pytest_slipstream.identity import VARIABLE, identify


def test_worker_believes_its_own_parent_once() -> None:
    environ = {VARIABLE: f"abc:{os.getppid()}", "PYTEST_XDIST_WORKER": "gw3"}
    owner = identify(environ)
    assert (owner.testrun_uid, owner.worker) == ("abc", "gw3")
    # A pytest that one of its tests starts is another run.
    nested = identify(environ)
    assert nested.testrun_uid != "abc"
    assert nested.worker == "main"


def test_controller_names_itself_to_its_workers() -> None:
    environ: dict[str, str] = {}
    owner = identify(environ)
    assert environ[VARIABLE] == f"{owner.testrun_uid}:{os.getpid()}"


def test_pytest_started_by_a_test_of_a_worker_is_another_run() -> None:
    environ = {VARIABLE: "abc:1", "PYTEST_XDIST_WORKER": "gw3"}
    assert identify(environ).testrun_uid != "abc"
