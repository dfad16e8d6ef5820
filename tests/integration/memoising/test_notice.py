"""Runs in which nothing is set: one line says what a switch would save, where that is much."""

from __future__ import annotations

import pytest

from projects import Project

SUITE = """
    import time

    import pytest
    from sqlalchemy import Column, Integer, MetaData, Table, create_engine, event

    metadata = MetaData()
    Table("person", metadata, Column("id", Integer, primary_key=True))


    @event.listens_for(metadata, "before_create")
    def takes_its_time(*values, **options):
        time.sleep(0.8)


    @pytest.mark.parametrize("number", range(5))
    def test_creates(number):
        engine = create_engine("sqlite://")
        metadata.create_all(bind=engine)
        metadata.drop_all(engine)
        engine.dispose()
"""
HASHES = """
    import bcrypt

    def test_hashes():
        for _ in range(2):
            assert bcrypt.checkpw(b"secret", bcrypt.hashpw(b"secret", bcrypt.gensalt(13)))
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    return Project(pytester, "")


def test_what_the_switches_would_save_is_said_once(project: Project) -> None:
    project.write({"test_hashes.py": HASHES})

    result = project.run(tests=SUITE)

    result.assert_outcomes(passed=6)
    result.stdout.fnmatch_lines(
        [
            "slipstream: schema work * s and password hashing * s of * s: --slipstream-memoize "
            "--slipstream-hashing cheap would save much of it (*)"
        ]
    )
    assert sum("would save" in line for line in result.outlines) == 1
    assert not (project.path / ".slipstream").exists()


def test_a_worker_of_xdist_tells_what_it_took(project: Project) -> None:
    result = project.run("-n", "1", tests=SUITE)

    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["slipstream: schema work * s of * s: --slipstream-memoize would*"])


@pytest.mark.parametrize("option", ["--no-slipstream-notice", "--slipstream-hashing=cheap"])
def test_where_a_switch_or_none_is_wished_nothing_is_said(project: Project, option: str) -> None:
    result = project.run(option, tests=SUITE)

    result.assert_outcomes(passed=5)
    result.stdout.no_fnmatch_line("*would save*")


def test_the_libraries_are_put_back(project: Project) -> None:
    suite = """
        from sqlalchemy import MetaData

        def test_wrapped():
            assert MetaData.create_all.__wrapped__
    """
    conftest = """
        import atexit

        @atexit.register
        def look():
            from sqlalchemy import MetaData
            print("put back:", not hasattr(MetaData.create_all, "__wrapped__"))
    """
    project.write({"conftest.py": conftest})

    result = project.run("-s", tests=suite)

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["put back: True"])
