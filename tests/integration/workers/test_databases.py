"""Forked workers have slots of their own, whatever read the URL before they were forked."""

from __future__ import annotations

from collections import Counter

from projects import Project

SAME_KEY = """
    import os

    import pytest

    from app import db

    URL_AT_IMPORT = os.environ["DATABASE_URL"]


    @pytest.mark.parametrize("n", range(20))
    def test_the_same_unique_name(n, worker_id):
        assert db.names() == []
        db.add("ann")
        assert db.names() == ["ann"]
        assert db.roles() == ["admin", "member"]


    @pytest.mark.parametrize("n", range(6))
    def test_the_environment_leads_to_the_same_slot_as_the_module(n, db_url):
        from sqlalchemy import create_engine, text

        db.add("bob")
        assert os.environ["DATABASE_URL"] == db_url != URL_AT_IMPORT
        for url in (db_url, URL_AT_IMPORT):
            engine = create_engine(url)
            with engine.connect() as connection:
                (name,) = connection.execute(text('SELECT name FROM "user"')).scalars()
            engine.dispose()
            assert name == "bob"
"""


def test_each_worker_has_its_own_slot(project: Project) -> None:
    result = project.run("--workers", "2", "-p", "no:randomly", tests=SAME_KEY)
    result.assert_outcomes(passed=26)
    cleaned = Counter(event["worker"] for event in project.events("TestCleaned"))
    assert set(cleaned) == {"gw0", "gw1"}
    assert cleaned.total() == 26
    slots = {event["slot"] for event in project.events("SlotReady")}
    assert len(slots) == 2
    assert "26 tests cleaned" in result.stdout.str()


def test_a_killed_workers_slot_is_dropped(project: Project) -> None:
    result = project.run(
        "--workers",
        "2",
        tests="""
        import os

        import pytest

        from app import db


        @pytest.mark.parametrize("n", range(6))
        def test_it(n):
            db.add("ann")
            if n == 3:
                os._exit(7)
        """,
    )
    result.assert_outcomes(passed=5, failed=1)
    listed = project.slipstream("db", "list")
    made = {event["slot"] for event in project.events("SlotReady")}
    assert len(made) >= 2
    assert [slot for slot in made if slot in listed] == []
