"""The ends of a run: ``-x``, ``--maxfail``, Ctrl-C, ``pytest.exit``; and the runs after it."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest

from trials import Run, Trial

NUMBERS = """
import asyncio, pytest

ENDED = []

@pytest.fixture(scope="module")
async def shared():
    yield
    await asyncio.sleep(0.01)
    print("SHARED TORN DOWN")

@pytest.fixture
async def own(shared):
    yield
    await asyncio.sleep(0.01)
    with open("ended", "a") as file:
        file.write("x")

@pytest.mark.parametrize("number", range(10))
async def test_one(own, number):
    await asyncio.sleep(0.05 + number * {step})
    assert number not in {failing}
"""


def numbers(failing: tuple[int, ...], step: float = 0.05) -> str:
    return NUMBERS.format(failing=failing, step=step)


def failed(run: Run) -> list[str]:
    return [test for test, outcome in run.outcomes().items() if outcome == "failed"]


def test_x_ends_at_the_first_failure(trial: Trial) -> None:
    trial.add("it", numbers((3, 4, 5)))
    run = trial.run("-x", concurrency=20)
    assert failed(run) == ["test_it.py::test_one[3]"]
    assert run.code == 1
    assert "stopping after 1 failures" in run.output
    assert "1 failed, 3 passed" in run.output


def test_cancelled_tests_are_torn_down_and_not_reported(trial: Trial) -> None:
    trial.add("it", numbers((0,), step=1))
    run = trial.run("-x", concurrency=20)
    assert list(run.outcomes()) == ["test_it.py::test_one[0]"]
    assert (trial.directory / "ended").read_text() == "x" * 10


def test_maxfail(trial: Trial) -> None:
    trial.add("it", numbers((1, 3, 5)))
    run = trial.run("--maxfail=2", concurrency=20)
    assert failed(run) == ["test_it.py::test_one[1]", "test_it.py::test_one[3]"]
    assert "stopping after 2 failures" in run.output


def test_last_failed(trial: Trial) -> None:
    trial.add("it", numbers((2, 7), step=0))
    first = trial.run(concurrency=20)
    again = trial.run("--lf", concurrency=20)
    assert failed(first) == failed(again)
    assert sorted(again.outcomes()) == ["test_it.py::test_one[2]", "test_it.py::test_one[7]"]


@pytest.mark.parametrize("concurrency", [None, 20])
def test_stepwise_stops_at_the_first_in_order(trial: Trial, concurrency: int | None) -> None:
    """The third fails last, and yet the next run must begin with it."""
    trial.add("it", numbers((2, 7), step=-0.005))
    first = trial.run("--sw", concurrency=concurrency)
    assert first.outcomes() == {
        "test_it.py::test_one[0]": "passed",
        "test_it.py::test_one[1]": "passed",
        "test_it.py::test_one[2]": "failed",
    }
    trial.add("it", numbers((7,), step=-0.005))
    second = trial.run("--sw", concurrency=concurrency)
    assert failed(second) == ["test_it.py::test_one[7]"]
    assert "test_it.py::test_one[2]" in second.outcomes()


def test_exit_from_a_test(trial: Trial) -> None:
    trial.add(
        "it",
        "import asyncio, pytest\n"
        "async def test_a():\n    await asyncio.sleep(30)\n"
        "async def test_b():\n    await asyncio.sleep(0.1)\n    pytest.exit('enough', 5)\n",
    )
    began = time.monotonic()
    run = trial.run(concurrency=20)
    assert run.code == 5
    assert "enough" in run.output
    assert time.monotonic() - began < 20


LEAVING = """
import asyncio

async def leave():
    raise SystemExit(4)

async def test_leaves():
    await asyncio.create_task(leave())

async def test_neighbour():
    await asyncio.sleep(0.2)
"""


def test_a_test_cannot_stop_the_loop_of_the_others(trial: Trial) -> None:
    trial.add(
        "it",
        "import asyncio\n"
        "async def test_stops():\n    asyncio.get_running_loop().stop()\n"
        "async def test_neighbour():\n    await asyncio.sleep(0.2)\n",
    )
    run = trial.run(concurrency=2)
    assert run.outcomes() == {
        "test_it.py::test_stops": "failed",
        "test_it.py::test_neighbour": "passed",
    }
    assert "it cannot stop; mark it `sequential`" in run.output


def test_system_exit_in_a_task_is_the_test_s(trial: Trial) -> None:
    """asyncio stops the whole loop then."""
    trial.add("it", LEAVING)
    run = trial.run(concurrency=20)
    assert run.outcomes() == {
        "test_it.py::test_leaves": "failed",
        "test_it.py::test_neighbour": "passed",
    }
    assert run.code == 1


CANCELLING = """
import asyncio
import pytest
from asyncio import all_tasks as really_all

@pytest.mark.parametrize("whose", ["mine", "all"])
async def test_shuts_down(whose):
    left = asyncio.create_task(asyncio.sleep(60))
    await asyncio.sleep(0.1)
    others = (asyncio.all_tasks() if whose == "mine" else really_all()) - {asyncio.current_task()}
    assert left in others
    for task in others:
        task.cancel()
    await asyncio.wait([left])

async def test_neighbour():
    await asyncio.sleep(0.5)
"""


def test_a_test_that_cancels_all_tasks_cancels_its_own(trial: Trial) -> None:
    trial.add("it", CANCELLING)
    run = trial.run("-k", "mine or neighbour", concurrency=20)
    assert set(run.outcomes().values()) == {"passed"}, run.output
    assert len(run.together()) == 2


def test_a_cancelled_neighbour_fails_and_the_run_goes_on(trial: Trial) -> None:
    """``from asyncio import all_tasks`` finds all of them."""
    trial.add("it", CANCELLING)
    run = trial.run("-k", "shuts_down[all] or neighbour", concurrency=20)
    assert run.outcomes() == {
        "test_it.py::test_shuts_down[all]": "passed",
        "test_it.py::test_neighbour": "failed",
    }, run.output
    assert run.code == 1


WAITING = """
import asyncio, pytest

@pytest.fixture
async def own():
    yield
    await asyncio.sleep(0.1)
    with open("ended", "a") as file:
        file.write("x")

async def test_quick():
    await asyncio.sleep(0)

@pytest.mark.parametrize("number", range(3))
async def test_long(own, number):
    open(f"begun{number}", "w").close()
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        if STUBBORN:
            import time
            open("stubborn", "w").close()
            time.sleep(60)
        raise
"""


def interrupted(trial: Trial, *, stubborn: bool) -> tuple[subprocess.Popen[str], str]:
    """A run that gets Ctrl-C while tests wait; twice, if they are stubborn."""
    trial.add("it", WAITING.replace("STUBBORN", str(stubborn)))
    process = subprocess.Popen(
        trial.command(concurrency=20),
        cwd=trial.directory,
        env=trial.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for(trial, "begun0", "begun1", "begun2")
    process.send_signal(signal.SIGINT)
    if stubborn:
        wait_for(trial, "stubborn")
        process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    return process, output


def wait_for(trial: Trial, *names: str) -> None:
    until = time.monotonic() + 30
    while not all((trial.directory / name).exists() for name in names):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_first_interrupt_ends_in_order(trial: Trial) -> None:
    process, output = interrupted(trial, stubborn=False)
    assert process.returncode == 2
    assert "KeyboardInterrupt" in output
    assert "1 passed" in output
    assert (trial.directory / "ended").read_text() == "xxx"


def test_second_interrupt_ends_at_once(trial: Trial) -> None:
    process, output = interrupted(trial, stubborn=True)
    assert process.returncode == 2
    assert "KeyboardInterrupt" in output
