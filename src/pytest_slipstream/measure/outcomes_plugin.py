"""A pytest plugin that notes which tests ran and how they ended, one JSON line each.

It is loaded into the measured command by an environment variable, where slipstream may not be
installed: it needs nothing but pytest. The invariant: the tests see the environment that they
would have without it, and a pytest that a test starts notes nothing.
"""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "SLIPSTREAM_OUTCOMES"
_KEY = "slipstream_outcomes"


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Put the environment back, and take note from here on."""
    told = os.environ.pop(VARIABLE, None)
    if told is None:
        return
    given = json.loads(told)
    for name, value in given["environ"].items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    plugin = WorkerModules(given) if given.get("worker") else Outcomes(early_config, given)
    early_config.pluginmanager.register(plugin, _KEY)


class Outcomes:
    """Notes what the process that reports sees.

    Args:
        config: pytest's.
        given: ``directory``, where to write; ``checkout``, from which nothing must be imported, or
            None.
    """

    def __init__(self, config: pytest.Config, given: dict[str, Any]) -> None:
        self._config = config
        self._given = given
        self._pid = os.getpid()
        path = Path(given["directory"], f"{self._pid}.jsonl")
        self._file = path.open("a", encoding="ascii", buffering=1)  # line by line: a test may exit
        self._foreign: set[str] = set()

    def _note(self, **entry: object) -> None:
        # A forked child that has this object reports to its parent, or not at all.
        if os.getpid() == self._pid:
            self._file.write(json.dumps(entry) + "\n")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        """With what the tests are run."""
        plugins = self._config.pluginmanager.list_plugin_distinfo()
        self._note(
            kind="session",
            rootpath=str(self._config.rootpath),
            python=platform.python_version(),
            pytest=pytest.__version__,
            plugins={dist.project_name: dist.version for _, dist in plugins},
            workers=len(self._config.getoption("tx", None) or ()),
            testrun_uid=os.environ.get("SLIPSTREAM_TESTRUN", "").partition(":")[0],
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of one test."""
        # A file's name may hold what is no text.
        node_id = report.nodeid.encode("utf-8", "backslashreplace").decode()
        if self._config.getoption("dist", None) == "loadgroup":
            node_id = re.sub(r"@[^\]/:]*$", "", node_id)  # pytest-xdist appends the group
        self._note(
            kind="phase",
            node_id=node_id,
            when=report.when,
            outcome=report.outcome,
            xfail=hasattr(report, "wasxfail"),
            seconds=report.duration,
        )

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, specs: Iterable[Any]) -> None:
        """Have pytest-xdist's workers, which import the tests, look at what they import."""
        for spec in specs:
            if spec.popen and self._given["checkout"] is not None:
                spec.env[VARIABLE] = json.dumps({**self._given, "worker": True})
                spec.env["PYTEST_PLUGINS"] = __name__

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """What a worker imported."""
        self._foreign |= set(getattr(node, "workeroutput", {}).get(_KEY, ()))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """How the session ended, and what was imported from the wrong place."""
        self._foreign |= set(_imported_from(self._given["checkout"]))
        self._note(kind="end", status=int(session.exitstatus), foreign=sorted(self._foreign))
        if os.getpid() == self._pid:
            self._file.close()


class WorkerModules:
    """Tells the controller what a worker imported from the wrong place."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._checkout = given["checkout"]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """The worker is done."""
        session.config.workeroutput[_KEY] = _imported_from(self._checkout)  # type: ignore[attr-defined]


def _imported_from(checkout: str | None) -> list[str]:
    """The packages whose files lie in the checkout, other than what is installed there."""
    if checkout is None:
        return []
    inside = f"{checkout}{os.sep}"
    elsewhere = (f"{Path.cwd()}{os.sep}", f"{sys.prefix}{os.sep}")
    files = [
        (name, getattr(module, "__file__", None)) for name, module in list(sys.modules.items())
    ]
    return sorted(
        {
            name.partition(".")[0]
            for name, file in files
            if isinstance(file, str) and file.startswith(inside) and not file.startswith(elsewhere)
        }
    )
