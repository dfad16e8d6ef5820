"""The fixtures work by themselves, and with the plugins that run event loops."""

from __future__ import annotations

import pytest

from projects import Project


def test_sync_fixtures(project: Project) -> None:
    result = project.run(
        "--slipstream-audit",
        tests="""
            import pytest
            from sqlalchemy import text
            from app.models import User

            @pytest.mark.parametrize("n", range(2))
            def test_session(db, db_url, db_engine, db_session, n):
                assert str(db_engine.url.render_as_string(hide_password=False)) == db_url == db.url
                db_session.add(User(name="ada", role_id=1))
                db_session.commit()
                assert [name.rpartition(".")[2] for name in db.touched] == ["user"]
                with db_engine.connect() as connection:
                    assert connection.scalar(text('select count(*) from "user"')) == 1

            def test_raw(db):
                connection = db.connect()
                cursor = connection.cursor()
                cursor.execute("select count(*) from role")
                assert cursor.fetchone() == (2,)
                connection.close()

            def test_unknown(db):
                with pytest.raises(Exception, match="configured are main"):
                    db["other"]
        """,
    )
    result.assert_outcomes(passed=4)


# pytest-asyncio warns where it is not set.
LOOP_SCOPE = "--override-ini=asyncio_default_fixture_loop_scope=function"

ASYNC = """
    import pytest
    from sqlalchemy import func, select
    from app.models import User
    {mark}
    @pytest.mark.parametrize("n", range(2))
    async def test_async(async_db_session, async_db_engine, n):
        async_db_session.add(User(name="ada", role_id=1))
        await async_db_session.commit()
        async with async_db_engine.connect() as connection:
            assert await connection.scalar(select(func.count()).select_from(User)) == 1
"""


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_async_fixtures_with_pytest_asyncio(project: Project, mode: str) -> None:
    mark = "" if mode == "auto" else "@pytest.mark.asyncio"
    result = project.run(
        "--slipstream-audit",
        "-Werror",
        f"--override-ini=asyncio_mode={mode}",
        LOOP_SCOPE,
        tests=ASYNC.replace("{mark}", mark),
    )
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize("other", ["-pno:asyncio", LOOP_SCOPE])
def test_async_fixtures_with_anyio(project: Project, other: str) -> None:
    project.write(
        {
            "conftest.py": """
                import pytest

                @pytest.fixture
                def anyio_backend():
                    return "asyncio"
            """
        }
    )
    tests = ASYNC.replace("{mark}", "@pytest.mark.anyio")
    result = project.run("--slipstream-audit", "-Werror", other, tests=tests)
    result.assert_outcomes(passed=2)


def test_async_fixture_without_a_loop_says_what_to_install(sqlite_project: Project) -> None:
    result = sqlite_project.run("-pno:asyncio", tests="def test_it(async_db_session):\n    pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*hint: pip install pytest-asyncio*"])


def test_marks_are_checked_before_anything_runs(sqlite_project: Project) -> None:
    for mark, message in (
        ('isolation="rset"', "*isolation='rset'*"),
        ('database="adit"', "*'adit'*not configured*"),
        ('isolate="reset"', "*argument isolate*"),
    ):
        result = sqlite_project.run(
            tests=f"import pytest\n@pytest.mark.db({mark})\ndef test_it():\n    pass\n"
        )
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([message, "hint: *"])
        result = sqlite_project.run("-n1")
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines([message, "hint: *"])
