"""The HTML report in Debian's Chromium, from disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_slipstream import events
from pytest_slipstream.report.page import page
from pytest_slipstream.report.run import run_report

CHROMIUM = shutil.which("chromium")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and "SLIPSTREAM_REQUIRE_SERVERS" not in os.environ,
    reason="there is no chromium: make servers",
)
COUNT = 5000
PATIENCE_MS = 120_000


def big_run() -> list[events.AnyEvent]:
    """Two workers, with tests that fail here and there."""
    tests = [
        events.TestTimed(
            worker=f"gw{number % 2}",
            node_id=f"tests/test_{number // 100}.py::test_{number}",
            outcome="failed" if number % 1000 == 7 else "passed",
            began=1000.0 + number // 2 * 0.02,
            seconds=0.018,
            own=(0.002, 0.004, 0.001),
            cpu_seconds=0.003,
            fixtures={"::rows": (0.003, 0.001)},
            spent={"queries": 0.003, "cleaning": 0.001},
        )
        for number in range(COUNT)
    ]
    ends = [
        event
        for worker in ("gw0", "gw1", "main")
        for event in (
            events.ProcessTimed(
                worker=worker,
                began=999.0,
                starting_seconds=0.5,
                conftest_seconds=0.1,
                collecting_seconds=0.4,
                running_seconds=50.0,
            ),
            events.RunFinished(worker=worker, at=1051.0, exit_status=1, server_seconds=0.0),
        )
    ]
    memory = [events.MemorySeen(at=1000.0 + n, kind="PSS", own_bytes=10**8) for n in range(9)]
    return [*tests, *memory, *ends]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page(run_report(big_run()), [49.0, 50.0, 52.0]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu"],
            timeout=PATIENCE_MS,
        )
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Any, report: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page; what it complains of, and what it asks the network for, fails the test."""
    context = browser.new_context(color_scheme=getattr(request, "param", "light"))
    tab = context.new_page()
    tab.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []
    tab.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(report.as_uri())
    tab.wait_for_function("window.slipstream.model('timeline') !== null")
    yield tab
    assert complaints == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    context.close()


@pytest.mark.parametrize("opened", ["light", "dark"], indirect=True)
def test_first_view_has_all_tests_and_the_slowest_rows(opened: Any) -> None:
    assert opened.title() == "Tests: failed"
    assert opened.locator("#count").inner_text() == f"{COUNT} of {COUNT} tests"
    assert opened.locator("#rows tr").count() == 200
    assert opened.locator("figure").count() >= 4


def test_filter_by_keyboard(opened: Any) -> None:
    opened.keyboard.press("/")
    opened.keyboard.type("test_1007")
    assert opened.locator("#count").inner_text() == f"1 of {COUNT} tests"
    drawn = opened.evaluate(
        "[0, 1, 2, 3, 4].map(n => window.slipstream.model(`filter ${n}`).booleans"
        ".filter(Boolean).length)"
    )
    assert drawn == [1, 1, 1, 1, 1]
    opened.locator("#zoom").focus()
    opened.keyboard.press("Enter")
    start, end = opened.evaluate(
        "(r => [r.start, r.end])(window.slipstream.model('timeline').x_range)"
    )
    assert start == pytest.approx(11.06, abs=0.05)
    assert end == pytest.approx(11.08, abs=0.05)


def test_filter_by_outcome_and_order_by_name(opened: Any) -> None:
    opened.locator("#outcome").select_option("failed")
    assert opened.locator("#count").inner_text() == f"5 of {COUNT} tests"
    opened.get_by_role("button", name="test", exact=True).click()
    names = opened.locator("#rows th").all_inner_texts()
    assert names == sorted(names)
    heading = opened.locator("th[aria-sort=ascending]")
    assert heading.inner_text() == "test"
