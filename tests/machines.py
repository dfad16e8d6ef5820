"""Machines of one build: whole pytest runs in processes and directories of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import psutil

from networks import Network
from pytest_slipstream.queue.build import Build
from pytest_slipstream.queue.values import Machine as QueueMachine
from pytest_slipstream.queue.values import Status
from waiting import until

CI_VARIABLES = (
    "CI_NODE_INDEX",
    "CI_NODE_TOTAL",
    "CI_PIPELINE_ID",
    "CIRCLE_NODE_INDEX",
    "BUILDKITE_PARALLEL_JOB",
    "STRATEGY_JOB_INDEX",
    "GITHUB_RUN_ID",
    "GITHUB_STEP_SUMMARY",
)

TESTS = """
    import os
    import time
    from pathlib import Path

    import pytest

    SHARED = Path(os.environ["TRIAL"])
    ME = os.environ["MACHINE"]


    @pytest.fixture(scope="module")
    def wide():
        yield ME


    @pytest.fixture(autouse=True)
    def told(request):
        with (SHARED / "ran").open("a") as file:
            file.write(f"{ME} {request.node.nodeid}\\n")


    @pytest.mark.parametrize("n", range(8))
    def test_quick(wide, n):
        assert wide == ME


    def test_gate():
        # The machine that comes first stays here until it may go on.
        try:
            (SHARED / f"gate-{NAME}").open("x").write(ME)
        except FileExistsError:
            return
        while not (SHARED / f"go-{NAME}").exists():
            time.sleep(0.01)
"""


class Machine:
    """One pytest process of a build."""

    def __init__(self, name: str, directory: Path, process: subprocess.Popen[str]) -> None:
        self.name = name
        self.directory = directory
        self.process = process
        self.output = ""

    def kill(self) -> None:
        """SIGKILL the process; the system ends its workers."""
        self.process.kill()

    def stop(self) -> None:
        """SIGSTOP all of its processes, as when a virtual machine is paused."""
        for process in self._processes():
            process.suspend()

    def resume(self) -> None:
        """SIGCONT them."""
        for process in reversed(self._processes()):
            process.resume()

    def _processes(self) -> list[psutil.Process]:
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def wait(self) -> int:
        """Its exit status."""
        self.output, _ = self.process.communicate(timeout=280)
        return self.process.returncode

    def reported(self) -> Counter[str]:
        """The tests in its JUnit file, if it wrote one."""
        file = self.directory / "junit.xml"
        if not file.exists():
            return Counter()
        cases = ElementTree.parse(file).getroot().iter("testcase")
        return Counter(f"{case.get('classname')}.{case.get('name')}" for case in cases)


class Trial:
    """A project that several machines run.

    Args:
        directory: For all of it.
        url: The queue's.
    """

    def __init__(self, directory: Path, url: str) -> None:
        self.directory = directory
        self.url = url
        self.shared = directory / "shared"
        self.shared.mkdir(parents=True)
        self.project = directory / "project"
        self.project.mkdir()
        self.machines: list[Machine] = []
        (self.project / "pyproject.toml").write_text("[tool.slipstream]\n")

    def write(self, name: str, text: str) -> None:
        """Add a file of the project."""
        path = self.project / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def write_gated(self, *names: str) -> int:
        """Add modules, each with a gate; how many tests they have."""
        for name in names:
            self.write(f"test_{name}.py", TESTS.replace("{NAME}", name))
        return 9 * len(names)

    def start(
        self,
        name: str,
        *arguments: str,
        again: bool = False,
        network: Network | None = None,
        **variables: str,
    ) -> Machine:
        """Start a machine, which runs pytest."""
        directory = self.directory / (f"{name}-again" if again else name)
        shutil.copytree(self.project, directory)
        environ = {key: value for key, value in os.environ.items() if key not in CI_VARIABLES}
        environ |= {"TRIAL": str(self.shared), "MACHINE": name, **variables}
        environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # half of what a machine takes to start
        command = [
            *(network.command if network is not None else ()),
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-p",
            "pytest_slipstream.plugin",
        ]
        queue = ["--build", "b", "--machine", name, "--junitxml=junit.xml"]
        if network is not None:
            port = network.port or urlsplit(self.url).port
            queue += ["--queue", f"redis://{network.host}:{port}"]
        elif self.url:
            queue += ["--queue", self.url]
        process = subprocess.Popen(
            [*command, *queue, *arguments],
            cwd=directory,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        machine = Machine(name, directory, process)
        self.machines.append(machine)
        return machine

    def at_gates(self, *names: str) -> dict[str, list[str]]:
        """Once there is a machine in each of these gates: the gates that each machine is in."""
        found: dict[str, list[str]] = {}
        for name in names:
            found.setdefault(self.at_gate(name).name, []).append(name)
        return found

    def at_gate(self, name: str) -> Machine:
        """The machine that is in a gate."""
        gate = self.shared / f"gate-{name}"
        until(lambda: gate.exists() and gate.read_text(), f"a machine is in the gate {name}")
        return next(one for one in self.machines if one.name == gate.read_text())

    def open(self, *names: str) -> None:
        """Let the machines in these gates go on."""
        for name in names:
            (self.shared / f"go-{name}").touch()

    def ran(self) -> Counter[str]:
        """How often each test began, on whatever machine."""
        lines = (self.shared / "ran").read_text().splitlines()
        return Counter(line.split(" ", 1)[1] for line in lines)

    def status(self) -> Status:
        """The build in the queue, as it stands."""
        build = Build(self.url, "b", "", "")
        try:
            found = build.status()
        finally:
            build.close()
        assert found is not None
        return found

    def until(self, name: str, condition: Callable[[QueueMachine], bool]) -> None:
        """Wait until the queue says so of a machine."""
        until(
            lambda: any(one.name == name and condition(one) for one in self.status().machines),
            f"the queue says so of the machine {name}",
        )

    def slipstream(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command ``slipstream``."""
        command = [str(Path(sys.executable).with_name("slipstream")), *arguments]
        environ = {key: value for key, value in os.environ.items() if key not in CI_VARIABLES}
        return subprocess.run(
            command, cwd=self.directory, env=environ, capture_output=True, text=True, check=False
        )

    def merge(self) -> subprocess.CompletedProcess[str]:
        """Join what the machines left."""
        return self.slipstream("merge", *(str(machine.directory) for machine in self.machines))

    def close(self) -> None:
        """End what still runs."""
        for machine in self.machines:
            if machine.process.poll() is None:
                machine.process.kill()
                machine.process.communicate()
