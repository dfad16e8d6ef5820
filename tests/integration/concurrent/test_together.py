"""Which tests are in flight together: markers, groups, weights, process-wide state."""

from __future__ import annotations

import pytest

from trials import Trial

IN_FLIGHT = """
import asyncio, contextlib, os, pytest, warnings
from unittest import mock

NOW, MOST = [], {{}}

@contextlib.contextmanager
def seen(name):
    NOW.append(name)
    for one in set(NOW):
        MOST[one] = max(MOST.get(one, 0), NOW.count(one))
    MOST["all"] = max(MOST.get("all", 0), len(NOW))
    yield
    NOW.remove(name)

{tests}
"""


def in_flight(tests: str) -> str:
    return IN_FLIGHT.format(tests=tests)


MARKED = """
@pytest.mark.concurrent
@pytest.mark.parametrize("number", range(5))
async def test_marked(number):
    with seen("marked"):
        await asyncio.sleep(0.1)

@pytest.mark.parametrize("number", range(2))
async def test_unmarked(number):
    with seen("unmarked"):
        await asyncio.sleep(0.05)

def test_most():
    assert MOST == {"marked": 5, "unmarked": 1, "all": 5}
"""


def test_the_marker_alone_is_enough(trial: Trial) -> None:
    trial.add("it", in_flight(MARKED))
    run = trial.run()
    assert "8 passed" in run.output
    assert len(run.together()) == 5


GROUPS = """
@pytest.mark.concurrent(group="one")
@pytest.mark.parametrize("number", range(3))
async def test_one(number):
    with seen("one"):
        await asyncio.sleep(0.05)

class TestTwo:
    @pytest.mark.concurrent(group="two")
    @pytest.mark.parametrize("number", range(4))
    async def test_two(self, number):
        with seen("two"):
            await asyncio.sleep(0.1)

@pytest.mark.parametrize("number", range(3))
async def test_free(number):
    with seen("free"):
        await asyncio.sleep(0.1)

@pytest.mark.concurrent(weight=9)
async def test_heavy():
    with seen("heavy"):
        await asyncio.sleep(0.2)
        assert len(NOW) == 1

@pytest.mark.sequential
async def test_sequential():
    with seen("sequential"):
        await asyncio.sleep(0.05)
        assert NOW == ["sequential"]

def test_most():
    assert MOST["one"] == 1
    assert MOST["two"] == 2
    assert MOST["free"] == 3
    assert MOST["all"] > 3
"""


def test_groups_and_weights(trial: Trial) -> None:
    trial.configure("groups = { two = 2 }", "asyncio_mode = 'auto'")
    trial.add("it", in_flight(GROUPS))
    run = trial.run(concurrency=9)
    assert "13 passed" in run.output


def test_a_group_spans_modules(trial: Trial) -> None:
    test = (
        "import asyncio, os, pytest\n"
        "@pytest.mark.concurrent(group='one')\n"
        "async def test_it():\n"
        "    assert not os.path.exists('busy')\n"
        "    open('busy', 'w').close()\n"
        "    await asyncio.sleep(0.1)\n"
        "    os.remove('busy')\n"
    )
    trial.add("a", test)
    trial.add("b", test)
    assert "2 passed" in trial.run(concurrency=9).output


ALONE = """
@pytest.fixture
def own_state():
    os.environ["OWN"] = "1"
    yield
    del os.environ["OWN"]

@pytest.mark.parametrize("number", range(2))
async def test_other(number):
    with seen("other"):
        await asyncio.sleep(0.2)
        assert "alone" not in NOW

async def test_monkeypatch(monkeypatch):
    with seen("alone"):
        await asyncio.sleep(0.05)

async def test_mocker(mocker):
    with seen("alone"):
        await asyncio.sleep(0.05)

async def test_configured(own_state):
    with seen("alone"):
        await asyncio.sleep(0.05)

async def test_another():
    with seen("other"):
        await asyncio.sleep(0.05)
        assert "alone" not in NOW
"""


def test_tests_that_use_process_wide_state_run_alone(trial: Trial) -> None:
    trial.configure('process_wide_fixtures = ["own_state"]', "asyncio_mode = 'auto'")
    trial.add("it", in_flight(ALONE))
    run = trial.run(concurrency=9)
    assert "6 passed" in run.output
    assert len(run.together()) == 3
    for line in ("ran alone: 3", "  1 uses monkeypatch", "  1 uses mocker", "  1 uses own_state"):
        assert line in run.output


GUARDED = """
@pytest.mark.parametrize("number", range(2))
async def test_neighbour(number):
    await asyncio.sleep(0.3)

async def test_environ():
    os.environ["LEAK"] = "1"
    await asyncio.sleep(0.1)
    del os.environ["LEAK"]

async def test_environ_at_once():
    os.environ["BRIEF"] = "1"
    del os.environ["BRIEF"]
    await asyncio.sleep(0.1)

async def test_chdir(tmp_path):
    before = os.getcwd()
    os.chdir(tmp_path)
    await asyncio.sleep(0.1)
    os.chdir(before)

async def test_patch():
    with mock.patch("os.getlogin"):
        await asyncio.sleep(0.1)

async def test_patch_at_once():
    with mock.patch("os.getlogin"):
        os.getlogin()
    await asyncio.sleep(0.1)

async def test_patch_dict():
    with mock.patch.dict(MOST, a=1):
        await asyncio.sleep(0.1)

async def test_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        await asyncio.sleep(0.1)

@pytest.fixture
async def patched():
    with mock.patch("os.getlogin"):
        yield

async def test_fixture(patched):
    await asyncio.sleep(0.1)
"""


def test_changes_that_others_could_see_are_caught(trial: Trial) -> None:
    trial.add("it", in_flight(GUARDED))
    run = trial.run(concurrency=20)
    caught = {
        test.partition("::")[2]: entry["message"]
        for test, told in run.told().items()
        for entry in told
        if entry["outcome"] == "failed"
    }
    expected = {
        "test_environ": "os.environ['LEAK']",
        "test_chdir": "the working directory",
        "test_patch": "a name by unittest.mock.patch",
        "test_patch_dict": "a dict by unittest.mock.patch.dict",
        "test_warnings": "the warning filters",
        "test_fixture": "a name by unittest.mock.patch",
    }
    assert caught.keys() == expected.keys(), run.output
    for test, what in expected.items():
        assert f"{test} changed {what} while other tests were in flight" in caught[test]
        assert "hint: mark the test with @pytest.mark.sequential" in caught[test]


def test_alone_the_same_tests_pass(trial: Trial) -> None:
    trial.add("it", in_flight(GUARDED).replace("async def", "@pytest.mark.sequential\nasync def"))
    text = (trial.directory / "test_it.py").read_text()
    trial.add("it", text.replace("@pytest.fixture\n@pytest.mark.sequential\n", "@pytest.fixture\n"))
    assert "10 passed" in trial.run(concurrency=20).output


@pytest.mark.parametrize(
    ("marker", "complaint"),
    [
        ("concurrent('group')", "takes only group, timeout, weight by name"),
        ("concurrent(grop='x')", "takes only group, timeout, weight"),
        ("concurrent(group=1)", "group must be a text"),
        ("concurrent(timeout=0)", "timeout must be a number of seconds above 0"),
        ("concurrent(weight=1.5)", "weight must be a whole number of at least 1"),
        ("sequential(1)", "takes no arguments"),
    ],
)
def test_wrong_markers(trial: Trial, marker: str, complaint: str) -> None:
    trial.add("it", f"import pytest\n@pytest.mark.{marker}\nasync def test_it(): pass\n")
    run = trial.run(concurrency=2)
    assert run.code == 4
    assert f"ERROR: test_it.py::test_it has the marker {marker.partition('(')[0]}(" in run.output
    assert complaint in run.output


def test_s_means_one_at_a_time(trial: Trial) -> None:
    trial.add("contexts")
    run = trial.run("-s", concurrency=20)
    assert "5 passed" in run.output
    assert run.together() == set()


AROUND = """
import asyncio, contextlib, contextvars, pytest
from pytest_slipstream.running import starting
from pytest_slipstream.running.company import NO_COMPANY
from pytest_slipstream.settings import Settings

SLOT = contextvars.ContextVar("slot")
FREE = ["slot 1", "slot 2"]
USED = []

class WithSlots(type(NO_COMPANY)):
    @contextlib.asynccontextmanager
    async def around(self, item):
        await asyncio.sleep(0.01)
        name = FREE.pop()
        SLOT.set(name)
        yield
        USED.append((item.name, SLOT.get()))
        FREE.append(name)

def pytest_runtestloop(session):
    starting.run_tests(session, Settings(concurrency=2), lambda event: None, WithSlots())
    return True

def pytest_terminal_summary(terminalreporter):
    terminalreporter.line(f"{len(USED)} tests, {len(FREE)} free slots")

@pytest.fixture
async def own_slot():
    yield SLOT.get()
    assert SLOT.get() not in FREE
"""


def test_what_a_test_needs_besides_its_fixtures(trial: Trial) -> None:
    (trial.directory / "conftest.py").write_text(AROUND)
    trial.add(
        "it",
        "import asyncio, conftest, pytest\n"
        "@pytest.mark.parametrize('number', range(5))\n"
        "async def test_it(own_slot, number):\n"
        "    assert conftest.SLOT.get() == own_slot\n"
        "    await asyncio.sleep(0.05)\n"
        "    assert await asyncio.create_task(read()) == own_slot\n"
        "async def read():\n    return conftest.SLOT.get()\n",
    )
    assert "5 tests, 2 free slots" in trial.run().output


GETTING = """
import asyncio, pytest, pytest_slipstream

@pytest.fixture
async def slow():
    await asyncio.sleep(0.01)
    return "slow"

async def test_wrong(request):
    request.getfixturevalue("slow")

async def test_right(request):
    assert await pytest_slipstream.getfixturevalue(request, "slow") == "slow"
    assert request.getfixturevalue("slow") == "slow"
"""


def test_getfixturevalue_in_a_coroutine(trial: Trial) -> None:
    trial.add("it", GETTING)
    run = trial.run(concurrency=20)
    assert run.outcomes() == {
        "test_it.py::test_wrong": "failed",
        "test_it.py::test_right": "passed",
    }
    assert "hint: await pytest_slipstream.getfixturevalue(request, name)" in run.output


def test_what_the_run_waits_for(trial: Trial) -> None:
    trial.add(
        "it",
        "import asyncio, pytest\n"
        "async def test_long():\n    await asyncio.sleep(4)\n"
        "async def test_long_too():\n    await asyncio.sleep(4)\n",
    )
    run = trial.run(concurrency=20)
    assert (
        "slipstream: 2 in flight, 0 to come; longest: test_it.py::test_long, 3 s in its call"
        in run.output
    )


def test_an_ordinary_run_does_not_load_the_run_loop(trial: Trial) -> None:
    trial.configure('databases.main = { engine = "sqlite", schema = "schema.sql" }')
    (trial.directory / "schema.sql").write_text("CREATE TABLE note (id INTEGER PRIMARY KEY);")
    trial.add(
        "it",
        "import sys\n"
        "def test_it(db):\n"
        "    assert 'pytest_slipstream.running.starting' not in sys.modules\n"
        "    assert 'greenlet' not in sys.modules\n",
    )
    assert "1 passed" in trial.run("-p", "no:asyncio").output
