"""What cannot be routed to the test's own slot is refused, in words; never led to another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from concurrency import PYTEST_OPTIONS, with_concurrency
from projects import DATABASES, Project

REFUSED = """
    import asyncio, os, queue, threading

    import pytest
    from sqlalchemy import create_engine, text
    from app import db
    from pytest_slipstream.errors import IsolationError

    ONE = text("select 1")
    JOBS = queue.Queue()

    def work():
        while True:
            JOBS.get()()

    threading.Thread(target=work, daemon=True).start()

    async def refused(call):
        raised = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()

        def attempt():
            try:
                call()
            except Exception as error:
                loop.call_soon_threadsafe(raised.set_result, str(error))
            else:
                loop.call_soon_threadsafe(raised.set_result, "nothing")

        return attempt, raised

    @pytest.fixture(scope="session")
    def connection():
        engine = create_engine(os.environ["DATABASE_URL"])
        with engine.connect() as connection:
            connection.execute(ONE)
            connection.commit()
            yield connection
        engine.dispose()

    @pytest.fixture(scope="session")
    async def polled():
        errors = []

        async def poll():
            while True:
                await asyncio.sleep(0.01)
                with pytest.raises(IsolationError) as raised:
                    db.names()
                errors.append(str(raised.value))

        task = asyncio.create_task(poll())
        yield errors
        task.cancel()

    @pytest.mark.parametrize("n", range(2))
    async def test_a_session_fixtures_connection(n, connection):
        await asyncio.sleep(0.05)
        with pytest.raises(IsolationError, match="that leads to another slot than its own"):
            connection.execute(ONE)

    @pytest.mark.parametrize("n", range(2))
    async def test_a_thread_of_the_module(n):
        attempt, raised = await refused(db.names)
        JOBS.put(attempt)
        assert "it is not known to which test it belongs" in await raised

    @pytest.mark.parametrize("n", range(2))
    async def test_a_session_fixtures_task(n, polled):
        polled.clear()
        while not polled:
            await asyncio.sleep(0.01)
        assert "what the session fixture 'polled' started uses the database 'main'" in polled[0]

    KEPT, READY, DONE = {}, asyncio.Event(), asyncio.Event()

    async def test_keeps_connection_and_url(db_url):
        KEPT["url"] = db_url
        with db.engine.connect() as KEPT["connection"]:
            KEPT["connection"].execute(ONE)
            READY.set()
            await DONE.wait()

    async def test_uses_connection_and_url():
        await READY.wait()
        try:
            with pytest.raises(IsolationError, match="opened by another test"):
                KEPT["connection"].execute(ONE)
            with pytest.raises(IsolationError, match="its URL was kept from that test"):
                create_engine(KEPT["url"]).connect()
        finally:
            DONE.set()

    GO = threading.Event()

    async def test_leaves_a_thread():
        attempt, KEPT["raised"] = await refused(db.names)
        threading.Thread(target=lambda: GO.wait(60) and attempt()).start()

    @pytest.mark.sequential
    async def test_between():
        pass

    @pytest.mark.parametrize("n", range(2))
    async def test_after_it(n):
        GO.set()
        assert "test_leaves_a_thread started uses the database" in await KEPT["raised"]
"""


def test_what_is_refused(project: Project) -> None:
    result = project.run("--slipstream-audit", tests=REFUSED)
    result.assert_outcomes(passed=12)


MARKED = """
    import asyncio
    import pytest
    from app import db
    from pytest_slipstream.errors import IsolationError

    @pytest.mark.db
    async def test_that_owns_a_slot():
        db.add("ada")
        await asyncio.sleep(0.05)
        assert db.names() == ["ada"]

    async def test_that_does_not():
        with pytest.raises(IsolationError, match="owns no slot of it"):
            db.names()
"""


def test_a_test_without_a_slot(project: Project) -> None:
    text = (project.path / "pyproject.toml").read_text()
    configured = text.replace("[tool.slipstream.databases.main]", MARKED_ONLY)
    (project.path / "pyproject.toml").write_text(configured)
    project.run(tests=MARKED).assert_outcomes(passed=2)


MARKED_ONLY = """[tool.slipstream.databases.main]
tests = "marked"
"""


MANY = """
    import asyncio
    import pytest

    @pytest.mark.parametrize("n", range(20))
    async def test_it(n, db):
        await asyncio.sleep(0.1)
"""


def test_a_server_with_too_few_connections(pytester: pytest.Pytester, cache_dir: Path) -> None:
    few = 'engine = "postgresql"\n        server_options = { max_connections = "10" }'
    text = with_concurrency(DATABASES["postgresql"].replace('engine = "postgresql"', few), 20)
    project = Project(pytester, text)
    project.configure(text, PYTEST_OPTIONS)
    result = project.run(tests=MANY)
    result.stdout.fnmatch_lines(
        [
            "*the slot slipstream_s_*_main_* cannot be made: *",
            "*hint: where the server has no connections left: lower `concurrency`*",
        ]
    )
    assert result.ret == 1
