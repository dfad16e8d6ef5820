"""Under `rollback`, as under `reset`, async code commits for real in the eyes of the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from async_applications import APPLICATIONS, configuration, files
from projects import Project

PYTEST_OPTIONS = """
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
filterwarnings = ["error"]
"""

TESTS = """
    import asyncio
    import pytest
    from app import people

    @pytest.fixture
    async def application():
        async with people.opened():
            yield

    @pytest.mark.usefixtures("application")
    @pytest.mark.parametrize("n", range(3))
    async def test_commits_and_goes_on_after_errors(n):
        assert await people.names() == []
        await people.add("ada")
        assert await people.names() == ["ada"]
        with pytest.raises(people.Taken):
            await people.add("ada")
        with pytest.raises(people.Taken):
            await people.add_together(["bob", "cy", "ada"])
        await people.add_together(["dot", "eve"])
        await people.add("fay")
        assert await people.names() == ["ada", "dot", "eve", "fay"]
"""

GATHERING = """
    import asyncio
    import pytest
    from app import people

    async def until_no_victim(write, given):
        while True:
            try:
                return await write(given)
            except Exception as error:  # of any driver: InnoDB may end one of several writers
                if "Deadlock found" not in str(error):
                    raise

    async def both(n):
        await until_no_victim(people.add, f"a{n}")
        await until_no_victim(people.add_together, [f"b{n}", f"c{n}"])
        return len(await people.names())

    @pytest.mark.parametrize("n", range(2))
    async def test_many_at_once(n):
        async with people.opened():
            counted = await asyncio.wait_for(asyncio.gather(*map(both, range(8))), 20)
            assert max(counted) == 24
            assert len(await people.names()) == 24
"""

SESSION_LOOP = """
    import pytest
    import pytest_asyncio
    from app import people

    pytestmark = pytest.mark.asyncio(loop_scope="session")

    @pytest_asyncio.fixture(scope="session", loop_scope="session", autouse=True)
    async def application():
        async with people.opened():
            await people.add("root")
            yield

    @pytest.mark.parametrize("n", range(3))
    async def test_over_what_the_session_made(n):
        assert await people.names() == ["root"]
        await people.add("ada")
        with pytest.raises(people.Taken):
            await people.add("root")
        assert await people.names() == ["root", "ada"]
"""


@pytest.fixture(params=sorted(APPLICATIONS))
def application(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if APPLICATIONS[name][0] == "mysql":
        request.getfixturevalue("require_mysql")
    return name


@pytest.fixture(params=["rollback", "reset"])
def isolation(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def async_project(
    pytester: pytest.Pytester, application: str, isolation: str, cache_dir: Path
) -> Project:
    """A project with an async application and an isolation strategy."""
    project = Project(pytester, configuration(application, isolation))
    project.configure(configuration(application, isolation), PYTEST_OPTIONS)
    project.write(files(application))
    return project


def run(project: Project, tests: str, passed: int) -> set[str]:
    """Run the tests, audited; the strategies by which they were cleaned."""
    result = project.run("--slipstream-audit", tests=tests)
    result.assert_outcomes(passed=passed)
    assert project.events("Uncontained") == []
    return {event["strategy"] for event in project.events("TestCleaned") if event["node_id"]}


def test_commits_and_errors(async_project: Project, isolation: str) -> None:
    assert run(async_project, TESTS, passed=3) == {isolation}


def test_gather(async_project: Project, isolation: str) -> None:
    assert run(async_project, GATHERING, passed=2) == {isolation}


def test_a_session_loop_with_data_of_a_wider_fixture(
    async_project: Project, isolation: str
) -> None:
    assert run(async_project, SESSION_LOOP, passed=3) == {isolation}
