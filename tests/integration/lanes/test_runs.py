"""Tests of two lanes in one run, each on its own database."""

from __future__ import annotations

import re

import pytest

from projects import Project

BOTH = """
    import os
    import pytest
    from app import db

    def product():
        return db.engine.dialect.name

    @pytest.mark.parametrize("n", range(3))
    def test_fast(n):
        assert (product(), db.names(), db.roles()) == ("sqlite", [], ["admin", "member"])
        assert db.add("ada") == 1

    @pytest.mark.e2e
    @pytest.mark.parametrize("n", range(2))
    def test_real(n):
        assert (product(), db.names(), db.roles()) == ("mysql", [], ["admin", "member"])
        assert db.add("ada") == 1
"""


def test_a_module_level_engine_reaches_the_lane_of_each_test(project: Project) -> None:
    result = project.run("--slipstream-audit", "--strict-markers", "-v", tests=BOTH)
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(
        [
            "test_it.py::test_fast[[]2]*",
            "test_it.py::test_real[[]0]*",
            "main: sqlite *",
            "real.main: mysql *",
            "lane fast: 3 tests, 60 %, on sqlite in *",
            "lane real: 2 tests, 40 %, on mysql in *",
        ]
    )


@pytest.mark.parametrize(
    ("lane", "passed", "servers"), [("fast", 3, ["main"]), ("real", 2, ["real.main"])]
)
def test_one_lane_alone(project: Project, lane: str, passed: int, servers: list[str]) -> None:
    result = project.run("--lane", lane, tests=BOTH)
    result.assert_outcomes(passed=passed, deselected=5 - passed)
    assert [event["database"] for event in project.events("ServerReady")] == servers
    result.stdout.no_fnmatch_line("lane *")


def test_the_server_of_a_lane_without_tests_does_not_start(project: Project) -> None:
    project.run("-m", "not e2e", tests=BOTH).assert_outcomes(passed=3, deselected=2)
    assert [event["database"] for event in project.events("ServerReady")] == ["main"]


def test_with_one_lane_modules_are_imported_on_it(project: Project) -> None:
    """Nothing is re-pointed, so whatever the application makes at import is right."""
    result = project.run(
        "--lane=real",
        tests="""
            import os
            import pytest
            from app import db

            AT_IMPORT = os.environ["DATABASE_URL"], db.engine.dialect.name

            @pytest.mark.e2e
            def test_real(db_url):
                assert AT_IMPORT == (db_url, "mysql")
                assert os.environ["DATABASE_URL"] == db_url
        """,
    )
    result.assert_outcomes(passed=1)


def test_variables_are_the_lanes_from_first_fixture_to_last_finalizer(project: Project) -> None:
    text = (project.path / "pyproject.toml").read_text()
    text = text.replace('marker = "e2e"', 'databases.main.env = { ONLY = "1" }\nmarker = "e2e"')
    (project.path / "pyproject.toml").write_text(text)
    result = project.run(
        tests="""
            import os
            import pytest

            @pytest.fixture(scope="session", autouse=True)
            def wide():
                before = os.environ["DATABASE_URL"], os.environ.get("ONLY")
                yield before
                assert (os.environ["DATABASE_URL"], os.environ.get("ONLY")) == before

            def test_fast(wide, db_url):
                assert wide == (db_url, None)
                assert db_url.startswith("sqlite")

            @pytest.mark.e2e
            def test_real(wide, db_url):
                assert wide == (db_url, "1")
                assert db_url.startswith("mysql")
        """
    )
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize("isolation", ["reset", "rollback"])
def test_wider_fixtures_are_set_up_for_each_lane(project: Project, isolation: str) -> None:
    """In a file whose tests alternate, so each lane begins and ends once."""
    result = project.run(
        "--slipstream-audit",
        f"--slipstream-isolation={isolation}",
        "-s",
        tests="""
            import pytest
            from app import db

            @pytest.fixture(scope="session")
            def owner():
                db.add("owner")
                print("SET UP", db.engine.dialect.name)
                yield
                assert db.names()[0] == "owner"
                print("TORN DOWN", db.engine.dialect.name)

            @pytest.fixture(scope="module", autouse=True)
            def editor(owner):
                db.add("editor")
                yield
                assert db.names() == ["owner", "editor"]

            def test_1(owner):
                assert db.names() == ["owner", "editor"]
                db.add("dirt")

            @pytest.mark.e2e
            def test_2(owner):
                assert db.names() == ["owner", "editor"]
                db.add("dirt")

            def test_3(owner):
                assert db.names() == ["owner", "editor"]

            @pytest.mark.e2e
            def test_4(owner):
                assert db.names() == ["owner", "editor"]
        """,
    )
    result.assert_outcomes(passed=4)
    assert re.findall(r"(SET UP|TORN DOWN) (\w+)", result.stdout.str()) == [
        ("SET UP", "sqlite"),
        ("TORN DOWN", "sqlite"),
        ("SET UP", "mysql"),
        ("TORN DOWN", "mysql"),
    ]


def test_two_workers(project: Project) -> None:
    result = project.run(
        "-n2",
        "--slipstream-audit",
        tests="""
            import pytest
            from app import db

            @pytest.fixture(scope="session")
            def owner():
                return db.add("owner")

            @pytest.mark.parametrize("n", range(6))
            @pytest.mark.parametrize(
                "lane", ["sqlite", pytest.param("mysql", marks=pytest.mark.e2e)]
            )
            def test_it(owner, lane, n):
                assert (db.engine.dialect.name, db.names()) == (lane, ["owner"])
                db.add("ada")
        """,
    )
    result.assert_outcomes(passed=12)
    result.stdout.fnmatch_lines(["lane fast: 6 tests, 50 %*", "lane real: 6 tests, 50 %*"])


def test_a_path_puts_tests_on_a_lane_and_a_marker_says_more(project: Project) -> None:
    """A path's lane has its marker, so `-m` selects the same tests as `--lane`."""
    tests = """
        import pytest
        from app.db import engine

        def test_by_path():
            assert engine.dialect.name == "mysql"

        @pytest.mark.fast
        def test_by_marker():
            assert engine.dialect.name == "sqlite"
    """
    project.write({"e2e/deep/test_e2e.py": tests})
    project.run("--strict-markers").assert_outcomes(passed=2)
    selected = project.run("-m", "e2e", "--collect-only", "-q").stdout
    selected.fnmatch_lines(["*::test_by_path", "*1/2 tests collected (1 deselected)*"])


def test_a_test_on_two_lanes_is_an_error(project: Project) -> None:
    tests = """
        import pytest

        @pytest.mark.fast
        @pytest.mark.e2e
        def test_it():
            pass
    """
    result = project.run(tests=tests)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    message = [
        "*test_it.py::test_it is on the lanes fast and real, and can be on one only",
        "*hint: mark it with one of @pytest.mark.fast, @pytest.mark.e2e",
    ]
    (result.stderr if result.errlines else result.stdout).fnmatch_lines(message)
    result = project.run("-n1")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(message)


def test_an_unknown_lane_is_an_error(project: Project) -> None:
    result = project.run("--lane=rael", tests=BOTH)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: --lane is 'rael', and must be one of fast, real, all",
            "hint: did you mean 'real'?",
        ]
    )


def test_strategies_and_kept_databases_of_each_lane(project: Project) -> None:
    result = project.run(
        "--slipstream-keep",
        "--slipstream-isolation=real.main=clone",
        tests="""
            import pytest
            from app import db

            @pytest.mark.e2e
            @pytest.mark.parametrize("n", range(2))
            def test_fails(n):
                assert db.names() == []
                db.add("evidence")
                assert False

            @pytest.mark.e2e
            def test_clone(db):
                assert db["main"].url == db.url

            def test_fast(db):
                assert db["main"].url == db.url
        """,
    )
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*1 by clone*",
            "kept slipstream_k_main_test_fails*",
            "  slipstream db shell slipstream_k_main_test_fails*",
        ]
    )
    assert [event["strategy"] for event in project.events("TestCleaned")] == ["reset", "clone"]


def test_ddl_in_a_test_of_each_lane(project: Project) -> None:
    """The slot is made anew, and the engine's pool on that lane follows."""
    result = project.run(
        "--slipstream-audit",
        tests="""
            import pytest
            from app import db
            from sqlalchemy import text

            @pytest.mark.parametrize("n", range(2))
            @pytest.mark.parametrize(
                "lane", ["sqlite", pytest.param("mysql", marks=pytest.mark.e2e)]
            )
            def test_it(lane, n):
                with db.engine.begin() as connection:
                    connection.execute(text("create table extra (a int)"))
                assert (db.engine.dialect.name, db.names()) == (lane, [])
        """,
    )
    result.assert_outcomes(passed=4)
