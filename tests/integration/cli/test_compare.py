"""``slipstream compare``: stored measurements, commands in turns, revisions in worktrees."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from measurements import measurement
from pytest_slipstream.measure import git, measurement_file
from pytest_slipstream.measure.values import Measurement
from pytest_slipstream.measure.verdicts import interleaved

BARE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
ONCE = ("--pairs", "1", "--warmup", "0", "--name", "it")
PYTEST = f"{sys.executable} -m pytest"


def taken(project: Path) -> tuple[Measurement, Measurement]:
    directory = project / measurement_file.DIRECTORY
    both = (directory / "it-baseline.json", directory / "it-candidate.json")
    before, after = map(measurement_file.read, both)
    return before, after


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A project with one test at the tag ``one``, and one more since."""
    for arguments in (
        ("init", "-q"),
        ("config", "user.name", "a"),
        ("config", "user.email", "a@b"),
    ):
        git.order(tmp_path, *arguments)
    (tmp_path / "test_it.py").write_text("def test_a(): pass\n")
    commit(tmp_path)
    git.order(tmp_path, "tag", "one")
    (tmp_path / "test_it.py").write_text("def test_a(): pass\ndef test_b(): pass\n")
    return tmp_path


def commit(repository: Path) -> None:
    git.order(repository, "add", ".")
    git.order(repository, "commit", "-q", "-m", "a change")


def worktrees(repository: Path) -> list[str]:
    """All but the user's own."""
    listed = git.ask(repository, "worktree", "list", "--porcelain") or ""
    paths = [line.split(" ", 1)[1] for line in listed.splitlines() if line.startswith("worktree ")]
    return paths[1:]


def test_stored_measurements(slipstream, tmp_path):
    for name, wall_s, at in (("before", 10.0, 0), ("after", 5.0, 100)):
        path = measurement_file.free_path(tmp_path, name)
        runs = [wall_s + n / 100 for n in range(5)]
        measurement_file.write(path, measurement(runs, first=at))
    done = slipstream("compare", "before", "after")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("### **faster**, 2.00 times: 10.0 s before, 5.02 s after\n")
    assert "measured one after the other" in done.stdout
    assert "| wall, median | 10.0 s | 5.02 s | -50% |" in done.stdout
    again = slipstream("compare", "before", str(path))
    assert again.stdout == done.stdout


def test_commands_in_turns(slipstream, tmp_path):
    (tmp_path / "test_it.py").write_text("def test_a(): pass\ndef test_b(): pass\n")
    sides = ("--baseline", f"{PYTEST} -q", "--candidate", f"{PYTEST} -q -k test_a")
    done = slipstream("compare", *sides, "--pairs", "2", *ONCE[2:], **BARE)
    assert done.returncode == 0, done.stderr
    before, after = taken(tmp_path)
    assert interleaved(before, after)
    assert after.runs[1].started_at < before.runs[1].started_at
    assert "**inconclusive**: 2 and 2 runs are too few" in done.stdout
    assert "| tests | 2 passed | 1 passed | 1 lost |" in done.stdout
    assert "- tests lost: `test_it.py::test_b`" in done.stdout


def test_a_revision_against_what_is_here(slipstream, repository):
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    done = slipstream("compare", "--baseline", "one", *ONCE, "--", "-q", **BARE)
    assert done.returncode == 0, done.stderr
    before, after = taken(repository)
    assert (before.command, after.command) == ("pytest -q at one", "pytest -q")
    assert (len(before.tests), len(after.tests)) == (1, 2)
    assert before.commit is not None
    assert after.commit is not None
    assert (before.commit.dirty, after.commit.dirty) == (False, True)
    assert before.commit.revision == after.commit.revision
    assert worktrees(repository) == []
    assert "- tests gained: `test_it.py::test_b`" in done.stdout


def test_below_the_top_of_the_repository(slipstream, repository):
    inner = repository / "inner"
    inner.mkdir()
    (inner / "test_inner.py").write_text("def test_inner(): pass\n")
    commit(repository)
    sides = ("--baseline", "HEAD", "--candidate", "one")
    done = slipstream("compare", *sides, *ONCE, "--", "test_inner.py", cwd=inner, **BARE)
    assert done.returncode == 1
    assert "there is no directory inner/ in the revision one" in done.stderr
    done = slipstream("compare", "--baseline", "HEAD", *ONCE, cwd=inner, **BARE)
    assert done.returncode == 0, done.stderr
    assert taken(inner)[0].tests == {"test_inner.py::test_inner": "passed"}


def test_a_src_layout_imports_the_revision_s_own_code(slipstream, repository):
    (repository / "src").mkdir()
    (repository / "src" / "shop.py").write_text("VALUE = 1\n")
    (repository / "test_it.py").write_text("import shop\ndef test_a(): assert shop.VALUE == 1\n")
    commit(repository)
    (repository / "src" / "shop.py").write_text("VALUE = 2\n")
    # As an editable installation does it: the user's own checkout is on the path.
    path = str(repository / "src")
    done = slipstream("compare", "--baseline", "HEAD", *ONCE, PYTHONPATH=path, **BARE)
    assert done.returncode == 0, done.stderr
    assert [side.tests["test_it.py::test_a"] for side in taken(repository)] == ["passed", "failed"]


@pytest.mark.parametrize("options", [(), ("-p", "xdist", "-n", "1")], ids=["alone", "xdist"])
def test_code_of_the_wrong_checkout_is_an_error(slipstream, repository, options):
    (repository / "lib").mkdir()
    (repository / "lib" / "shop.py").write_text("")
    (repository / "test_it.py").write_text("import shop\ndef test_a(): pass\n")
    commit(repository)
    path = str(repository / "lib")
    done = slipstream(
        "compare", "--baseline", "HEAD", *ONCE, "--", *options, PYTHONPATH=path, **BARE
    )
    assert done.returncode == 1
    assert "imported shop from the working copy" in done.stderr
    assert "--setup" in done.stderr
    assert worktrees(repository) == []


def test_a_revision_with_an_environment_of_its_own(slipstream, repository):
    (repository / "test_it.py").write_text(
        "import os\n"
        "def test_a(): assert os.environ['VIRTUAL_ENV'] == os.path.abspath('.venv')\n"
        "def test_b(): assert os.environ['BY'] == 'its own'\n"
    )
    commit(repository)
    wrapper = f"#!/bin/sh\nexec env BY='its own' '{sys.executable}' \"$@\"\n"
    (repository / "wrapper").write_text(wrapper)
    (repository / "wrapper").chmod(0o755)
    setup = f"mkdir -p .venv/bin && cp '{repository}/wrapper' .venv/bin/python"
    done = slipstream("compare", "--baseline", "HEAD", "--setup", setup, *ONCE, **BARE)
    assert done.returncode == 0, done.stderr
    before, after = taken(repository)
    assert set(before.tests.values()) == {"passed"}
    assert set(after.tests.values()) == {"failed"}


def test_a_set_up_that_fails(slipstream, repository):
    done = slipstream("compare", "--baseline", "one", "--setup", "echo no; exit 3", *ONCE)
    assert done.returncode == 1
    assert "the set-up of one ended with exit status 3; its last lines were:\nno" in done.stderr
    assert worktrees(repository) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_worktrees_are_removed_when_it_is_ended(repository, command, environ, number):
    (repository / "test_it.py").write_text(
        f"import pathlib, time\npathlib.Path({str(repository)!r}, 'started').touch()\n"
        "def test_a(): time.sleep(600)\n"
    )
    commit(repository)
    comparing = subprocess.Popen(
        [*command, "compare", "--baseline", "HEAD", *ONCE],
        cwd=repository,
        env=environ | BARE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (repository / "started").exists():
        assert comparing.poll() is None
        time.sleep(0.05)
    (worktree,) = worktrees(repository)
    comparing.send_signal(number)
    assert comparing.wait(60) != 0
    assert worktrees(repository) == []
    assert not Path(worktree).parent.exists()


def test_the_worktree_of_a_killed_comparison_goes_with_the_next(slipstream, repository, tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    left = tmp_path / f"slipstream-compare-{dead.pid}-x" / "w"
    live = tmp_path / f"slipstream-compare-{os.getpid()}-x" / "w"
    for worktree in (left, live):
        git.order(repository, "worktree", "add", "--quiet", "--detach", str(worktree))
    slipstream("compare", "--baseline", "one", "--setup", "exit 1", *ONCE)
    assert worktrees(repository) == [str(live)]
    assert not left.parent.exists()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("a",), 4, "two stored measurements can be compared, and 1 are given"),
        (("a", "b"), 1, "there is no measurement a: it is neither a file nor one of none"),
        (("--baseline", "no_such"), 4, "'no_such' is neither a git revision nor a command"),
        (("--baseline", ""), 4, "'' is neither a git revision nor a command"),
        (("--baseline", "pytest 'x"), 4, "cannot be read: No closing quotation"),
        (("--baseline", "true", "--", "-x"), 4, "the command 'true' would not get it"),
        (("--baseline", "true", "--setup", "x"), 4, "and neither side is a revision"),
        (("--baseline", "true", "--name", "a/b"), 4, "cannot be the name of a measurement"),
        (("--baseline", "true"), 1, "true ran no test, its exit status is 0; it printed nothing"),
    ],
)
def test_what_is_refused(slipstream, arguments, status, said):
    done = slipstream("compare", *arguments)
    assert done.returncode == status
    assert said in done.stderr
    assert "hint:" in done.stderr or "quotation" in said


def test_without_scipy_the_pip_line_is_named(tmp_path, environ):
    hidden = (
        "import sys; from importlib.machinery import PathFinder\n"
        "class Hide(PathFinder):\n"
        "    @classmethod\n"
        "    def find_spec(cls, name, *rest):\n"
        "        return None if name == 'scipy' else super().find_spec(name, *rest)\n"
        "sys.meta_path[sys.meta_path.index(PathFinder)] = Hide\n"
        "sys.argv = ['slipstream', 'compare', 'a', 'b']\n"
        "from pytest_slipstream.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", hidden],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert 'hint: pip install "pytest-slipstream[stats]"' in done.stderr
