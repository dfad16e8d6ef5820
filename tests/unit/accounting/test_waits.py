"""Calls that wait, while they are replaced and afterwards."""

from __future__ import annotations

import asyncio
import importlib
import pickle
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

import pytest

from pytest_slipstream.accounting.imports import Imports
from pytest_slipstream.accounting.places import OUTSIDE, Places
from pytest_slipstream.accounting.turn import BODY, Interval, Turn, Wait, unexplained
from pytest_slipstream.accounting.waits import CALLS, Waits
from pytest_slipstream.clock import clock


@pytest.fixture
def turn() -> Iterator[Turn]:
    """Of a test that the code in the main thread belongs to."""
    made = Turn("t.py::test_a", clock.seconds())
    main = threading.get_ident()
    waits = Waits(lambda: made if threading.get_ident() == main else None)
    waits.put_up()
    yield made
    waits.take_down()


def test_a_kind_fills_what_is_not_known_by_others() -> None:
    known = [(0.0, 1.0)]  # a statement
    waits = {
        "sleep": [Wait((0.5, 3.0), 2.5)],
        "HTTP": [Wait((2.0, 2.5), 0.25), Wait((2.0, 2.2), 0.1), Wait((4.0, 4.5), 0.25)],
    }
    # The processor worked for half of the requests; one read lies within another.
    assert unexplained(waits, known) == pytest.approx({"HTTP": 0.5, "sleep": 1.5})
    assert unexplained({}, known) == {}


def test_what_waits_is_told_and_nothing_is_told_twice(turn: Turn) -> None:
    async def sleep_twice() -> None:
        await asyncio.gather(asyncio.sleep(0.02), asyncio.sleep(0.03))

    body = Interval(turn, place=BODY)
    time.sleep(0.02)
    asyncio.run(sleep_twice())
    other = threading.Thread(target=time.sleep, args=(0.04,))
    other.start()
    other.join()
    own_s = body.end()
    waited = turn.timed(()).waited
    assert waited["sleep"] >= 0.045
    assert waited["locks and threads"] >= 0.02
    assert sum(waited.values()) <= own_s


def test_seconds_are_shared_among_the_places_that_waited() -> None:
    turn = Turn("t.py::test_a", 0.0)
    for began, place in ((0.0, "in a.py:1"), (1.0, "in b.py:2"), (2.0, "in a.py:1")):
        turn.waited("sleep", (began, began + 1.0), 1.0, place)
    turn.waited("HTTP", (2.5, 3.0), 0.5, "in c.py:3")  # known to what sleeps meanwhile
    turn.settle(0.0, 3.0, BODY)
    assert turn.waits() == {
        "sleep in a.py:1": (2, pytest.approx(5 / 3)),
        "sleep in b.py:2": (1, pytest.approx(2.5 / 3)),
        "HTTP in c.py:3": (1, 0.5),
    }
    assert sum(turn.timed(()).waited.values()) == pytest.approx(3.0)


def test_the_nearest_line_of_the_project(tmp_path: Path) -> None:
    frames = []
    for name in ("a.py", "venv/lib/site-packages/b.py", "<string>"):
        code = compile("def call(): return frame()", tmp_path / name, "exec")
        if name.startswith("<"):
            code = compile("def call(): return frame()", name, "exec")
        scope = {"frame": sys._getframe if not frames else frames[-1]["call"]}
        exec(code, scope)
        frames.append(scope)
    places = Places(tmp_path)
    assert places.of(frames[-1]["call"]()) == "in a.py:1"
    assert Places(tmp_path / "other").of(frames[0]["call"]()) == OUTSIDE


def test_what_an_interval_within_waited_is_not_told_of_the_one_around(turn: Turn) -> None:
    body = Interval(turn, place=BODY)
    setup = Interval(turn)
    time.sleep(0.02)
    setup.end()
    body.end()
    assert turn.timed(()).waited.get("sleep", 0.0) < 0.02


def test_calls_are_what_they_were(turn: Turn) -> None:
    class Poller:
        pause = time.sleep  # a builtin function is no method

    Poller().pause(0)
    assert pickle.loads(pickle.dumps(time.sleep)) is time.sleep
    assert asyncio.iscoroutinefunction(asyncio.sleep)
    with pytest.raises(TypeError):
        time.sleep()  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="non-negative"):
        time.sleep(-1)


def test_everything_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def mine(seconds: float) -> None:
        """Somebody else's."""

    sleep, wait = time.sleep, threading.Condition.wait
    waits = Waits(lambda: None)
    waits.put_up()
    assert time.sleep is not sleep
    assert threading.Condition.wait is not wait
    assert time.sleep(0) is None
    monkeypatch.setattr(time, "sleep", mine)
    waits.take_down()
    assert threading.Condition.wait is wait
    assert time.sleep is mine
    waits = Waits(lambda: None)
    monkeypatch.undo()
    time.sleep = sleep
    waits.put_up()
    waits.take_down()
    assert time.sleep is sleep


@pytest.mark.parametrize("module", sorted(CALLS))
def test_all_calls_are_there(module: str) -> None:
    loaded = importlib.import_module(module)
    waits = Waits(lambda: None)
    waits.put_up()
    try:
        for path in CALLS[module]:
            assert attrgetter(path)(loaded).__wrapped__, path
    finally:
        waits.take_down()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"imported_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(f"import time\nimport {name}_too\ntime.sleep(0.02)")
    (tmp_path / f"{name}_too.py").write_text("import time\ntime.sleep(0.03)")
    (tmp_path / f"{name}_bad.py").write_text("def fail():\n    1 / 0\nfail()")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_imports_by_package(package: str) -> None:
    told: list[tuple[float, float]] = []
    imports = Imports(lambda seconds, cpu_s: told.append((seconds, cpu_s)))
    imports.put_up()
    try:
        importlib.import_module(package)
        with pytest.raises(ImportError):
            importlib.import_module(f"{package}_missing")
        in_thread = threading.Thread(target=importlib.import_module, args=("this",))
        in_thread.start()
        in_thread.join()
    finally:
        imports.take_down()
    assert imports.packages[package] >= 0.02
    assert imports.packages[f"{package}_too"] >= 0.03
    assert "this" not in imports.packages
    assert len(told) == 2  # what a module imports is part of it
    assert imports.total_s == pytest.approx(sum(seconds for seconds, _ in told))
    assert imports.total_s == pytest.approx(sum(imports.packages.values()))


def test_tracebacks_of_imports_stay(package: str) -> None:
    def frames() -> list[str]:
        with pytest.raises(ZeroDivisionError) as raised:
            importlib.import_module(f"{package}_bad")
        return [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]

    before = frames()
    imports = Imports(lambda seconds, cpu_s: None)
    imports.put_up()
    try:
        assert frames() == before
    finally:
        imports.take_down()
    imports.begin("outside")  # by hand, as for a module that pytest runs
    imports.end()
    assert "outside" in imports.packages
