"""Tests in flight together on real databases: every driver reaches the test's own slot."""

from __future__ import annotations

from pathlib import Path

import pytest

from async_applications import APPLICATIONS, configuration, files
from concurrency import PYTEST_OPTIONS, together, with_concurrency
from projects import Project


def made(pytester: pytest.Pytester, application: str) -> Project:
    text = with_concurrency(configuration(application, "reset"))
    project = Project(pytester, text)
    project.configure(text, PYTEST_OPTIONS)
    project.write(files(application))
    return project


OWN_SLOTS = """
    import asyncio
    import pytest
    from app import people

    @pytest.fixture
    async def application():
        async with people.opened():
            yield

    ALL = asyncio.Barrier(12) if hasattr(asyncio, "Barrier") else None

    @pytest.mark.usefixtures("application")
    @pytest.mark.parametrize("n", range(12))
    async def test_same_key(n):
        assert await people.names() == []
        await people.add("ada")
        with pytest.raises(people.Taken):
            await people.add("ada")
        if ALL is not None:  # all have added the same name by then, and nobody has waited
            await asyncio.wait_for(ALL.wait(), 60)
        await people.add_together([f"b{n}", "cy"])
        task = asyncio.create_task(people.add("dot"))
        await task
        assert await people.names() == ["ada", f"b{n}", "cy", "dot"]

    @pytest.mark.usefixtures("application")
    @pytest.mark.parametrize("n", range(12))
    async def test_again(n):
        assert await people.names() == []
        await people.add(f"c{n}")
        await asyncio.sleep(0.01)
        assert await people.names() == [f"c{n}"]

    @pytest.mark.usefixtures("application")
    @pytest.mark.sequential
    async def test_alone():
        assert await people.names() == []
        await people.add("ada")
        assert await people.names() == ["ada"]
"""


SINGLE = [name for name in APPLICATIONS if not name.endswith("-pool") and "tortoise" not in name]
"""Those that keep neither a pool nor a registry in a module."""


@pytest.mark.parametrize("application", SINGLE)
def test_each_test_has_a_database_of_its_own(
    pytester: pytest.Pytester, cache_dir: Path, application: str
) -> None:
    project = made(pytester, application)
    result = project.run("--slipstream-audit", tests=OWN_SLOTS)
    result.assert_outcomes(passed=25)
    assert result.ret == 0  # nothing was left open, either
    assert len(together(project)) == 24


WEB = """
    import os
    from fastapi import BackgroundTasks, FastAPI
    from app.db import add, names

    app = FastAPI()

    @app.post("/people/{name}", status_code=201)
    def add_one(name: str, tasks: BackgroundTasks):
        add(name)
        tasks.add_task(add, name + "-later")

    @app.get("/people")
    def all_names():
        return names()
"""

FRAMEWORKS = """
    import asyncio, multiprocessing, sys, threading
    from concurrent.futures import ThreadPoolExecutor

    import httpx
    import pytest
    from fastapi.testclient import TestClient
    from app import db
    from app.web import app

    @pytest.fixture(scope="module")
    def pool():
        with ThreadPoolExecutor(2) as pool:
            yield pool

    @pytest.mark.parametrize("n", range(3))
    async def test_in_a_thread_of_asyncio(n):
        await asyncio.to_thread(db.add, "ada")
        await asyncio.sleep(0.05)
        assert await asyncio.to_thread(db.names) == ["ada"]

    @pytest.mark.parametrize("n", range(3))
    async def test_in_threads_that_tests_share(n, pool):
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, db.add, "ada")
        await asyncio.sleep(0.05)
        await loop.run_in_executor(pool, db.add, "bob")
        assert db.names() == ["ada", "bob"]

    @pytest.mark.parametrize("n", range(3))
    async def test_in_a_thread_of_its_own(n):
        thread = threading.Thread(target=db.add, args=("ada",))
        thread.start()
        await asyncio.sleep(0.05)
        await asyncio.to_thread(thread.join)
        assert db.names() == ["ada"]

    @pytest.mark.parametrize("n", range(3))
    async def test_httpx(n):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            assert (await client.post("/people/ada")).status_code == 201
            await asyncio.sleep(0.05)
            assert (await client.get("/people")).json() == ["ada", "ada-later"]

    @pytest.mark.parametrize("n", range(3))
    async def test_starlettes_client(n):
        with TestClient(app) as client:
            assert client.post("/people/ada").status_code == 201
            await asyncio.sleep(0.05)
            assert client.get("/people").json() == ["ada", "ada-later"]

    @pytest.mark.parametrize("n", range(2))
    async def test_a_child_process(n):
        code = "from app import db; db.add('kid')"
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
        assert await child.wait() == 0
        assert db.names() == ["kid"]

    @pytest.mark.parametrize("n", range(2))
    async def test_a_spawned_process(n):
        child = multiprocessing.get_context("spawn").Process(target=db.add, args=("kid",))
        child.start()
        await asyncio.to_thread(child.join)
        assert child.exitcode == 0
        assert db.names() == ["kid"]
        child.close()

    def test_one_that_is_not_asynchronous():
        assert db.names() == []
"""


def test_threads_clients_and_child_processes(project: Project) -> None:
    project.write({"app/web.py": WEB})
    result = project.run("--slipstream-audit", tests=FRAMEWORKS)
    result.assert_outcomes(passed=20)
    assert len(together(project)) == 19


LOCKS = """
    import asyncio
    import pytest
    from sqlalchemy import text
    from app import db

    LOCKED = {
        "sqlite": ['update "user" set name = name'],
        "mysql": ['select * from "user" for update'],
        "postgresql": [
            'select * from "user" for update',
            "select pg_advisory_lock(1)",
            'lock table "user" in access exclusive mode',
        ],
    }
    HOLD, ALL = [], asyncio.Event()

    @pytest.mark.parametrize("n", range(5))
    async def test_locks(n):
        db.add("ada")
        with db.engine.connect() as connection:
            for statement in LOCKED[connection.dialect.name]:
                connection.execute(text(statement))
            HOLD.append(n)
            if len(HOLD) == 5:
                ALL.set()
            await asyncio.wait_for(ALL.wait(), 60)
            connection.rollback()
        assert db.names() == ["ada"]
"""


def test_all_hold_the_same_locks_at_once(project: Project) -> None:
    result = project.run("--slipstream-audit", tests=LOCKS)
    result.assert_outcomes(passed=5)
    assert result.ret == 0
