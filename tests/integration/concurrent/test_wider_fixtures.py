"""What wider fixtures write is in the slot of each test that is in flight below them."""

from __future__ import annotations

from concurrency import together
from projects import Project

CONFTEST = """
    import asyncio, pytest
    from app import db
    @pytest.fixture(scope="session")
    async def company():
        await asyncio.sleep(0.05)
        db.add("company")
        yield "company"
        assert "company" in db.names()
"""

MODULE = """
    import asyncio, pytest
    from app import db

    @pytest.fixture(scope="module")
    def boss(company):
        db.add("boss of " + __name__)
        yield
        assert db.names() == ["company", "boss of " + __name__]

    @pytest.mark.parametrize("n", range(6))
    async def test_with_both(n, boss):
        assert db.names() == ["company", "boss of " + __name__]
        db.add("me")
        await asyncio.sleep(0.1)
        assert db.names() == ["company", "boss of " + __name__, "me"]

    def test_sync(boss):
        assert db.names() == ["company", "boss of " + __name__]
        db.add("me")

    class TestIt:
        @pytest.fixture(scope="class")
        @classmethod
        async def deputy(cls, boss):
            db.add("deputy")
            yield

        @pytest.mark.parametrize("n", range(6))
        async def test_class(self, n, deputy):
            db.add("me")
            await asyncio.sleep(0.1)
            assert db.names() == ["company", "boss of " + __name__, "deputy", "me"]

    @pytest.mark.parametrize("n", range(3))
    async def test_after(n, boss):
        assert db.names() == ["company", "boss of " + __name__]
"""

SESSION = """
    import asyncio, pytest, pytest_slipstream
    from pytest_slipstream.errors import IsolationError
    from app import db
    @pytest.mark.parametrize("n", range(6))
    async def test_session_only(n, company):
        assert db.names() == ["company"]
        db.add("me")
        await asyncio.sleep(0.1)
        assert db.names() == ["company", "me"]
    def test_sync_too():
        assert db.names() == ["company"]
    @pytest.mark.parametrize("n", range(3))
    async def test_late(n, request):
        db.add("me")
        await asyncio.sleep(0.01)
        with pytest.raises(IsolationError, match="while it is under way"):
            await pytest_slipstream.getfixturevalue(request, "late")
    @pytest.fixture(scope="session")
    async def late():
        db.add("late")
"""


def test_layers_in_every_slot(project: Project) -> None:
    project.write(
        {
            "conftest.py": CONFTEST,
            "test_a.py": MODULE,
            "test_b.py": MODULE,
            "test_c.py": SESSION,
        }
    )
    project.run("--slipstream-audit").assert_outcomes(passed=42)
    assert len(together(project)) == 39
