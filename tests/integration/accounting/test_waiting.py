"""What tests are said to wait for, and which imports, in whole runs."""

from __future__ import annotations

import sys

import pytest

from concurrency import PYTEST_OPTIONS, with_concurrency
from projects import DATABASES, Project
from pytest_slipstream import record
from pytest_slipstream.report.seconds import account

CONFTEST = """
    import http.server
    import threading
    import time

    import heavy
    import pytest

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            time.sleep(0.05)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"o")
            self.wfile.flush()
            time.sleep(0.05)
            self.wfile.write(b"k")

        def log_message(self, *args):
            pass

    @pytest.fixture(scope="module")
    def url():
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()
        server.server_close()
"""

TESTS = """
    import asyncio
    import queue
    import subprocess
    import sys
    import threading
    import time
    import urllib.request

    import filelock
    import pytest
    from freezegun import freeze_time

    def test_sleep():
        time.sleep(0.05)
        asyncio.run(asyncio.sleep(0.05))

    @freeze_time("2020-01-01")
    def test_frozen():
        time.sleep(0.1)

    def test_sleep_replaced(monkeypatch):
        monkeypatch.setattr(time, "sleep", lambda seconds: None)
        time.sleep(100)

    def test_locks():
        event, numbers = threading.Event(), queue.Queue()
        threading.Timer(0.06, event.set).start()
        event.wait()
        threading.Timer(0.06, numbers.put, [1]).start()
        assert numbers.get() == 1

    def test_child_process():
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.1)"], check=True)

    def test_file_lock(tmp_path):
        held, wanted = (filelock.FileLock(tmp_path / "lock") for _ in range(2))
        with held, pytest.raises(filelock.Timeout):
            wanted.acquire(timeout=0.1)

    def test_urllib(url):
        assert urllib.request.urlopen(url).read() == b"ok"

    def test_requests(url):
        import requests

        assert requests.get(url).text == "ok"

    def test_httpx(url):
        import httpx

        assert httpx.get(url).text == "ok"

    def test_httpx_asynchronous(url):
        import httpx

        async def get():
            async with httpx.AsyncClient() as client:
                return (await client.get(url)).text

        assert asyncio.run(get()) == "ok"

    def test_aiohttp(url):
        import aiohttp

        async def get():
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                return await response.text()

        assert asyncio.run(get()) == "ok"

    def test_other_threads_wait_for_themselves():
        thread = threading.Thread(target=time.sleep, args=(0.1,))
        thread.start()
        until = time.perf_counter() + 0.05
        while time.perf_counter() < until:
            pass
        thread.join()

    @pytest.fixture
    def waits():
        time.sleep(0.1)

    def test_fixture(waits):
        import lazy
"""

WAITED = {
    "test_sleep": "sleep",
    "test_frozen": "sleep",
    "test_locks": "locks and threads",
    "test_child_process": "child processes",
    "test_file_lock": "file locks",
    **{f"test_{name}": "HTTP" for name in ("urllib", "requests", "httpx", "aiohttp")},
    "test_httpx_asynchronous": "HTTP",
}


def test_waiting_and_imports_are_told(pytester: pytest.Pytester) -> None:
    project = Project(pytester, DATABASES["sqlite"])
    modules = {f"{name}.py": "import time\ntime.sleep(0.05)" for name in ("heavy", "lazy")}
    project.write({"conftest.py": CONFTEST, **modules})
    project.run(tests=TESTS).assert_outcomes(passed=13)
    happened = record.read(next((project.path / ".slipstream" / "runs").iterdir()))
    tests = {event["node_id"].partition("::")[2]: event for event in project.events("TestTimed")}
    for name, kind in WAITED.items():
        assert tests[name]["waited"].get(kind, 0.0) >= 0.09, tests[name]
        assert sum(tests[name]["waited"].values()) <= tests[name]["own"][1] + 1e-4
    assert sum(tests["test_sleep_replaced"]["waited"].values()) < 50
    assert "sleep" not in tests["test_other_threads_wait_for_themselves"]["waited"]
    assert tests["test_fixture"]["fixtures_waited"]["sleep"] >= 0.09
    assert tests["test_fixture"]["fixtures"]["test_it.py::waits"][0] >= 0.1
    assert tests["test_fixture"]["spent"]["imports"] >= 0.05
    spent = account(happened)
    assert spent.buckets["imports, by conftests"] >= spent.packages["heavy"] >= 0.05
    assert spent.packages["lazy"] >= 0.05
    assert {"requests", "httpx"} <= set(spent.packages)
    life_s = max(event.at for event in happened) - project.events("ProcessTimed")[0]["began"]
    assert spent.total_s == pytest.approx(life_s, rel=0.01)


OVERLAPPING = """
    import asyncio
    import time

    async def test_sleeps():
        await asyncio.sleep(0.2)

    async def test_waits():
        event = asyncio.Event()
        asyncio.get_running_loop().call_later(0.2, event.set)
        await event.wait()

    async def test_sleeps_in_a_thread():
        await asyncio.to_thread(time.sleep, 0.2)

    async def test_computes():
        for _ in range(20):
            until = time.perf_counter() + 0.005
            while time.perf_counter() < until:
                pass
            await asyncio.sleep(0)
"""


def test_of_tests_in_flight_each_has_its_own(pytester: pytest.Pytester) -> None:
    text = with_concurrency(DATABASES["sqlite"], 4)
    project = Project(pytester, text)
    project.configure(text, PYTEST_OPTIONS)
    project.run("-p", "asyncio", tests=OVERLAPPING).assert_outcomes(passed=4)
    waited = {
        event["node_id"].partition("::")[2]: event["waited"]
        for event in project.events("TestTimed")
    }
    assert waited["test_sleeps"]["sleep"] >= 0.199
    assert waited["test_sleeps"].get("locks and threads", 0.0) < 0.1
    assert waited["test_waits"]["locks and threads"] >= 0.19
    assert "sleep" not in waited["test_waits"]
    assert waited["test_sleeps_in_a_thread"]["sleep"] >= 0.199


def test_a_run_that_ends_before_it_begins_leaves_nothing_replaced(
    pytester: pytest.Pytester,
) -> None:
    project = Project(pytester, "")
    project.write(
        {
            "bad/conftest.py": "raise RuntimeError('no')",
            "twice.py": """
                import asyncio, pickle, subprocess, time
                import pytest

                before = time.sleep, asyncio.sleep, subprocess.Popen.wait
                for arguments in (["bad"], ["--workers=2", "bad"], ["--workers=2", "--nope"]):
                    assert pytest.main(arguments) == pytest.ExitCode.USAGE_ERROR
                    assert (time.sleep, asyncio.sleep, subprocess.Popen.wait) == before
            """,
            "test_names.py": """
                import asyncio, pickle

                def test_two_names_of_one_thing():
                    assert asyncio.sleep is asyncio.tasks.sleep
                    assert pickle.loads(pickle.dumps(asyncio.sleep)) is asyncio.sleep
            """,
        }
    )
    assert pytester.run(sys.executable, "twice.py").ret == 0
    project.run("--workers=1", "test_names.py").assert_outcomes(passed=1)
