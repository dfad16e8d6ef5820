"""Other plugins: outcomes and measurements as in sequence."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from trials import Trial

FLAKY = """
import asyncio, pytest

SEEN = []

@pytest.fixture
async def own():
    yield len(SEEN)
    await asyncio.sleep(0.01)

@pytest.mark.flaky(reruns=2)
async def test_second_time(own):
    SEEN.append("second")
    print("attempt", SEEN.count("second"))
    await asyncio.sleep(0.05)
    attempts = SEEN.count("second")
    assert attempts == 2

@pytest.mark.flaky(reruns=2)
async def test_never(own):
    await asyncio.sleep(0.05)
    assert False

@pytest.mark.parametrize("number", range(3))
async def test_others(own, number):
    await asyncio.sleep(0.1)
"""


def test_rerunfailures(trial: Trial) -> None:
    trial.add("it", FLAKY)
    sequential, together = trial.run(), trial.run(concurrency=20)
    assert sequential.told() == together.told(), together.output
    assert "1 failed, 4 passed, 3 rerun" in together.output


def test_junit(trial: Trial) -> None:
    trial.add("outcomes")
    found = []
    for concurrency in (None, 50):
        trial.run("--junitxml=junit.xml", concurrency=concurrency)
        root = ET.parse(trial.directory / "junit.xml").getroot()
        cases = [
            (case.get("name"), sorted(child.tag for child in case), float(case.get("time", 0)))
            for case in root.iter("testcase")
        ]
        found.append(cases)
    assert sorted(case[:2] for case in found[0]) == sorted(case[:2] for case in found[1])
    times = {case[0]: case[2] for case in found[1]}
    assert times["test_own_timeout"] >= 0.05
    assert times["test_skip"] < 0.05


COVERED = """
import asyncio

async def choose(number):
    await asyncio.sleep(0.01)
    if number == 1:
        return await one()
    if number == 2:
        return two()
    return 0

async def one():
    await asyncio.sleep(0.01)
    return 1

def two():
    return 2

def never():
    return 3
"""
COVERING = """
import asyncio, pytest, code

@pytest.fixture
async def ready():
    await code.one()
    yield
    await asyncio.sleep(0.01)
    code.two()

@pytest.fixture(scope="module")
async def shared():
    yield await code.one()

@pytest.mark.parametrize("number", range(8))
async def test_it(ready, shared, number):
    assert await code.choose(number) in (0, number)

@pytest.mark.parametrize("number", range(8))
async def test_partly(number):
    await asyncio.sleep(0.01)
    if number > 100:
        print("never")
"""


def test_coverage_is_the_same(trial: Trial) -> None:
    (trial.directory / "covered.py").write_text(COVERED)
    trial.add("it", COVERING.replace("code", "covered"))
    lines = []
    for concurrency in (None, 50):
        run = trial.run("--cov=.", "--cov-branch", "--cov-report=json", concurrency=concurrency)
        assert "16 passed" in run.output
        report = json.loads((trial.directory / "coverage.json").read_text())
        lines.append(
            {
                name: (file["executed_lines"], file["missing_lines"], file["missing_branches"])
                for name, file in report["files"].items()
            }
        )
    assert lines[0] == lines[1]


@pytest.mark.parametrize("option", ["--capture=sys", "--log-cli-level=WARNING", "-pno:warnings"])
def test_other_ways_of_capturing(trial: Trial, option: str) -> None:
    trial.add("outputs")
    sequential, together = trial.run(option), trial.run(option, concurrency=50)
    assert together.told() == sequential.told(), together.output
    assert len(together.together()) > 10


OVERRIDES = """
import asyncio, httpx, pytest
from fastapi import Depends, FastAPI
from starlette.testclient import TestClient

async def who():
    return "nobody"

app = FastAPI()

@app.get("/")
async def read(who=Depends(who)):
    return who

async def answer():
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return (await client.get("/")).json()

@pytest.fixture
def client(number):
    app.dependency_overrides[who] = lambda: number
    yield TestClient(app)
    app.dependency_overrides.clear()

@pytest.mark.parametrize("number", range(3))
async def test_own(client, number):
    await asyncio.sleep(0.05)
    assert await answer() == client.get("/").json() == number
    app.dependency_overrides = {who: lambda: "replaced"}
    await asyncio.sleep(0.05)
    assert await answer() == "replaced"

async def test_none():
    await asyncio.sleep(0.05)
    assert await answer() == "nobody"

@pytest.fixture(scope="module")
async def admin():
    app.dependency_overrides[who] = lambda: "admin"
    yield
    del app.dependency_overrides[who]

@pytest.mark.parametrize("number", range(2))
async def test_wider(admin, number):
    await asyncio.sleep(0.05)
    assert await answer() == "admin"

@pytest.fixture(scope="module", autouse=True)
def afterwards():
    yield
    assert app.dependency_overrides == {}
"""


def test_overrides_of_fastapi_are_the_tests_own(trial: Trial) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("httpx")
    trial.configure(pytest="asyncio_mode = 'auto'\nfilterwarnings = ['ignore:Using `httpx`']")
    trial.add("it", OVERRIDES)
    run = trial.run("-p", "no:randomly", "-k", "not wider", concurrency=20)
    assert set(run.outcomes().values()) == {"passed"}, run.output
    assert len(run.together()) == 4
    run = trial.run("-p", "no:randomly", "-k", "not none", concurrency=20)
    assert set(run.outcomes().values()) == {"passed"}, run.output
    assert len(run.together()) == 5


UNCAUGHT = """
import asyncio, threading, pytest

class Breaks:
    def __del__(self):
        raise ValueError("in __del__")

def break_thread():
    raise ValueError("in a thread")

@pytest.mark.parametrize("of", range(3))
async def test_neighbour(of):
    for _ in range(10):
        await asyncio.sleep(0.02)

async def test_object():
    await asyncio.sleep(0.05)
    Breaks()
    await asyncio.sleep(0.1)

async def test_thread():
    await asyncio.sleep(0.05)
    thread = threading.Thread(target=break_thread)
    thread.start()
    thread.join()
    await asyncio.sleep(0.1)

@pytest.mark.parametrize("of", range(3))
async def test_short(of):
    await asyncio.sleep(0.06 + of / 50)
"""


@pytest.mark.skipif(pytest.version_tuple < (8, 4), reason="pytest keeps no queue of them")
def test_what_nobody_can_catch_is_of_the_test_that_it_comes_from(trial: Trial) -> None:
    trial.add("it", UNCAUGHT)
    arguments = ("-p", "no:randomly", "-Werror::pytest.PytestUnraisableExceptionWarning")
    arguments += ("-Werror::pytest.PytestUnhandledThreadExceptionWarning",)
    run = trial.run(*arguments, concurrency=20)
    failed = {test for test, outcome in run.outcomes().items() if outcome == "failed"}
    assert failed == {"test_it.py::test_object", "test_it.py::test_thread"}, run.output
    assert len(run.together()) == 8


UNCLAIMED = """
import asyncio, logging, os, threading, pytest

@pytest.fixture(scope="module")
async def server():
    async def serve():
        while True:
            await asyncio.sleep(0.05)
            logging.getLogger("server").warning("beat")
    task = asyncio.create_task(serve())
    yield
    task.cancel()

async def test_quick(server):
    pass

async def test_writes():
    await asyncio.sleep(0.05)
    os.write(1, b"by descriptor")
    thread = threading.Thread(target=print, args=["by thread"])
    thread.start()
    thread.join()

async def test_fails(server):
    print("own")
    await asyncio.sleep(0.3)
    assert False
"""


def test_output_of_nobody_is_shown_with_what_failed_meanwhile(trial: Trial) -> None:
    trial.add("it", UNCLAIMED)
    run = trial.run(concurrency=20)
    assert "1 failed, 2 passed" in run.output
    told = {entry["when"]: entry["sections"] for entry in run.told()["test_it.py::test_fails"]}
    sections = dict(told["call"])
    assert sections["Captured stdout call"] == "own\n"
    unclaimed = sections["Captured output of tests in flight together"]
    for text in ("by descriptor", "by thread\n", "server:test_it.py:9 beat\n"):
        assert text in unclaimed


def test_xdist_runs_in_sequence_and_says_so(trial: Trial) -> None:
    trial.add("contexts")
    run = trial.run("-n", "1", concurrency=20)
    assert "5 passed" in run.output
    assert "under pytest-xdist, asynchronous tests run one after another" in run.output


def test_without_any_plugin(trial: Trial) -> None:
    trial.configure(pytest="")
    trial.add("contexts")
    run = trial.run("-p", "no:asyncio", "-p", "no:anyio", concurrency=20)
    assert "5 passed" in run.output
    assert len(run.together()) == 5
