"""Timeouts of each phase, also of a test that blocks the loop; pytest-timeout's marks."""

from __future__ import annotations

from trials import Run, Trial

PHASES = """
import asyncio, pytest

@pytest.fixture
async def slow_up():
    await asyncio.sleep(60)

@pytest.fixture
async def slow_down():
    yield
    await asyncio.sleep(60)

@pytest.mark.concurrent(timeout=0.3)
async def test_set_up(slow_up):
    pass

@pytest.mark.concurrent(timeout=0.3)
async def test_call():
    await asyncio.sleep(60)

@pytest.mark.concurrent(timeout=0.3)
async def test_teardown(slow_down):
    pass

@pytest.mark.concurrent(timeout=0.3)
async def test_swallows():
    for _ in range(2):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass
    await asyncio.sleep(60)

@pytest.fixture(scope="module")
async def shared_slow():
    await asyncio.sleep(60)

@pytest.mark.concurrent(timeout=0.3)
@pytest.mark.parametrize("number", range(2))
async def test_shared(shared_slow, number):
    pass

@pytest.fixture(scope="module")
async def shared_quick():
    await asyncio.sleep(1)

async def test_patient(shared_quick):
    pass

@pytest.mark.concurrent(timeout=0.3)
async def test_impatient(shared_quick):
    pass

async def test_neighbour():
    await asyncio.sleep(1)
"""


def message(run: Run, test: str) -> tuple[str, str]:
    """The phase in which a test failed, and what it said."""
    (told,) = [e for e in run.told()[f"test_it.py::{test}"] if e["outcome"] == "failed"]
    return told["when"], told["message"]


def test_each_phase(trial: Trial) -> None:
    trial.add("it", PHASES)
    run = trial.run(concurrency=20)
    for test, phase in (
        ("test_set_up", "setup"),
        ("test_call", "call"),
        ("test_teardown", "teardown"),
    ):
        when, said = message(run, test)
        assert when == phase, run.output
        assert said == f"Failed: test_it.py::{test} took more than 0.3 s in its {phase}"
    assert message(run, "test_swallows")[0] == "call"
    assert {message(run, f"test_shared[{number}]")[0] for number in (0, 1)} == {"setup"}
    assert message(run, "test_impatient")[0] == "setup"
    for test in ("test_neighbour", "test_patient"):
        assert run.outcomes()[f"test_it.py::{test}"] == "passed"
    assert "await asyncio.sleep(60)" in run.output


def test_the_project_can_have_one(trial: Trial) -> None:
    trial.configure("concurrency = 10\ntimeout = 1", "asyncio_mode = 'auto'")
    trial.add("it", "import asyncio\nasync def test_it():\n    await asyncio.sleep(60)\n")
    assert message(trial.run(), "test_it")[1].endswith("took more than 1 s in its call")


BLOCKING = """
import asyncio, time, pytest

@pytest.mark.concurrent(timeout=1)
async def test_blocks():
    await asyncio.sleep(0.1)
    deep()

def deep():
    time.sleep(20)

@pytest.mark.concurrent(timeout=1.5)
@pytest.mark.parametrize("number", range(5))
async def test_neighbour(number):
    for _ in range(7):
        await asyncio.sleep(0.1)
"""


def test_a_test_that_blocks_is_the_one_that_fails(trial: Trial) -> None:
    trial.add("it", BLOCKING)
    run = trial.run(concurrency=20)
    when, said = message(run, "test_blocks")
    assert when == "call"
    assert said.endswith("it blocks the event loop: every other test waits")
    assert "time.sleep(20)" in run.output
    assert "1 failed, 5 passed" in run.output
    assert "blocked the event loop: 1" in run.output


def test_blocking_in_a_task_is_found_too(trial: Trial) -> None:
    trial.add(
        "it",
        "import asyncio, time, pytest\n"
        "@pytest.mark.concurrent(timeout=1)\n"
        "async def test_it():\n    await asyncio.create_task(work())\n"
        "async def work():\n    time.sleep(20)\n"
        "async def test_neighbour():\n    await asyncio.sleep(0.1)\n",
    )
    run = trial.run(concurrency=20)
    assert "blocks the event loop" in message(run, "test_it")[1]
    assert "1 failed, 1 passed" in run.output


def test_blocking_without_a_timeout_is_told(trial: Trial) -> None:
    trial.add(
        "it",
        "import asyncio, time\n"
        "async def test_it():\n    time.sleep(1)\n"
        "async def test_neighbour():\n    await asyncio.sleep(0.1)\n",
    )
    run = trial.run(concurrency=20)
    assert "2 passed" in run.output
    assert "  test_it.py::test_it: 1." in run.output


TIMEOUT_MARKS = """
import asyncio, time, pytest

@pytest.fixture
async def slow():
    await asyncio.sleep(60)

@pytest.mark.timeout(0.5)
async def test_waits():
    await asyncio.sleep(60)

@pytest.mark.timeout(0.5)
async def test_fixture(slow):
    pass

@pytest.mark.timeout(0.5, func_only=True)
async def test_blocks():
    time.sleep(60)

@pytest.mark.timeout(20)
async def test_in_time():
    await asyncio.sleep(0.1)
"""


def test_marks_of_pytest_timeout(trial: Trial) -> None:
    trial.add("it", TIMEOUT_MARKS)
    sequential, together = trial.run(), trial.run(concurrency=20)
    assert sequential.outcomes() == together.outcomes()
    assert "Timeout (>0.5s) from pytest-timeout." in message(together, "test_waits")[1]
    alone = trial.run(concurrency=1)
    assert alone.outcomes() == together.outcomes()
