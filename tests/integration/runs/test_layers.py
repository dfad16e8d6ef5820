"""What wider fixtures write lives as long as they do, and no longer."""

from __future__ import annotations

from projects import Project


def test_data_of_wider_fixtures_survives_and_goes_with_its_scope(project: Project) -> None:
    project.write(
        {
            "conftest.py": """
                import pytest
                from app import db

                @pytest.fixture(scope="session")
                def owner():
                    return db.add("owner")
            """,
            "test_a.py": """
                import pytest
                from app import db

                @pytest.fixture(scope="module")
                def editor(owner):
                    db.add("editor")
                    yield
                    assert db.names() == ["owner", "editor"]

                @pytest.mark.parametrize("n", range(3))
                def test_reset_to_the_layer(editor, n):
                    assert db.names() == ["owner", "editor"]
                    assert db.add("own") == 3

                class TestClass:
                    @classmethod
                    def setup_class(cls):
                        db.add("class")

                    def test_one(self):
                        assert db.names() == ["owner", "editor", "class"]
                        db.add("x")

                    def test_two(self):
                        assert db.names() == ["owner", "editor", "class"]

                def test_class_is_gone():
                    assert db.names() == ["owner", "editor"]
            """,
            "test_b.py": """
                from app import db

                def setup_module():
                    db.add("module")

                def test_module_layer():
                    assert db.names() == ["owner", "module"]

                def test_again():
                    assert db.names() == ["owner", "module"]
            """,
            "test_c.py": """
                from app import db

                def test_only_the_session_layer_is_left():
                    assert db.names() == ["owner"]
                    assert db.add("next") == 2
            """,
        }
    )
    result = project.run("--slipstream-audit")
    result.assert_outcomes(passed=9)
    result.stdout.fnmatch_lines(["*layers of wider fixtures*owner*"])


def test_session_fixture_first_used_late_outlives_the_module_it_was_used_in(
    project: Project,
) -> None:
    project.write(
        {
            "conftest.py": """
                import pytest
                from app import db

                @pytest.fixture(scope="session")
                def late():
                    return db.add("late")
            """,
            "test_a.py": """
                import pytest
                from app import db

                @pytest.fixture(scope="module", autouse=True)
                def module():
                    db.add("module")

                def test_before():
                    assert db.names() == ["module"]

                def test_late(late):
                    assert db.names() == ["module", "late"]
                    db.add("dirt")
            """,
            "test_b.py": """
                from app import db

                def test_late_is_left(late):
                    assert db.names() == ["late"]
                    db.add("more")

                def test_again(late):
                    assert db.names() == ["late"]
            """,
        }
    )
    project.run("--slipstream-audit").assert_outcomes(passed=4)


def test_wider_fixture_asked_for_in_mid_test_keeps_its_own_writes_only(project: Project) -> None:
    result = project.run(
        "--slipstream-audit",
        tests="""
            import pytest
            from app import db

            @pytest.fixture(scope="module")
            def wide():
                db.add("wide")

            def test_asks(request):
                db.add("dirt")
                request.getfixturevalue("wide")
                assert db.names() == ["dirt", "wide"]

            def test_after(wide):
                assert db.names() == ["wide"]

            def test_again(wide):
                assert db.names() == ["wide"]
        """,
    )
    result.assert_outcomes(passed=3)


def test_parametrised_module_fixture_leaves_nothing_to_its_next_parameter(
    project: Project,
) -> None:
    result = project.run(
        "--slipstream-audit",
        tests="""
            import pytest
            from app import db

            @pytest.fixture(scope="module", params=["a", "b"])
            def user(request):
                db.add(request.param)
                return request.param

            @pytest.mark.parametrize("n", range(2))
            def test_user(user, n):
                assert db.names() == [user]
                db.add("own")
        """,
    )
    result.assert_outcomes(passed=4)


def test_layers_survive_an_escalation(project: Project) -> None:
    result = project.run(
        "--slipstream-audit",
        tests="""
            import pytest
            from sqlalchemy import text
            from app import db

            @pytest.fixture(scope="module", autouse=True)
            def user():
                db.add("wide")

            @pytest.mark.parametrize("n", range(2))
            def test_ddl(n):
                assert db.names() == ["wide"]
                with db.engine.begin() as connection:
                    connection.execute(text('drop table "user"'))

            def test_after():
                assert db.names() == ["wide"]
                assert db.add("next") == 2
        """,
    )
    result.assert_outcomes(passed=3)


def test_layers_under_clone(project: Project) -> None:
    result = project.run(
        "--slipstream-isolation=clone",
        "--slipstream-audit",
        tests="""
            import pytest
            from app import db

            @pytest.fixture(scope="module", autouse=True)
            def user():
                db.add("wide")

            @pytest.mark.parametrize("n", range(3))
            def test_user(n):
                assert db.names() == ["wide"]
                db.add("own")
        """,
    )
    result.assert_outcomes(passed=3)


def test_fixture_that_skips_does_not_take_its_neighbour_along(project: Project) -> None:
    result = project.run(
        "--slipstream-audit",
        tests="""
            import pytest
            from app import db

            @pytest.fixture(scope="module")
            def user():
                db.add("user")

            @pytest.fixture(scope="module")
            def redis(user):
                db.add("never")
                pytest.skip("no redis here")

            def test_skipped(user, redis):
                pass

            @pytest.mark.parametrize("n", range(2))
            def test_user(user, n):
                assert db.names() == ["user"]
        """,
    )
    result.assert_outcomes(passed=2, skipped=1)


def test_parametrised_fixture_beside_another_of_its_scope(project: Project) -> None:
    result = project.run(
        "--slipstream-audit",
        tests="""
            import pytest
            from app import db

            @pytest.fixture(scope="module")
            def org():
                db.add("org")

            @pytest.fixture(scope="module", params=["a", "b"])
            def user(org, request):
                db.add(request.param)
                yield request.param
                db.add("bye")

            @pytest.mark.parametrize("n", range(2))
            def test_user(user, n):
                assert db.names() == ["org", user]
        """,
    )
    result.assert_outcomes(passed=4)


def test_parametrised_fixture_that_writes_when_it_ends(project: Project) -> None:
    result = project.run(
        "--slipstream-audit",
        tests="""
            import pytest
            from app import db

            @pytest.fixture(scope="module", params=[1, 2])
            def number(request):
                yield request.param
                db.add(f"bye{request.param}")

            def test_number(number):
                assert db.names() == []
        """,
    )
    result.assert_outcomes(passed=2)


def test_what_unisolated_tests_left_is_no_part_of_a_layer(project: Project) -> None:
    result = project.run(
        tests="""
            import pytest
            from app import db

            @pytest.fixture(scope="module")
            def module():
                db.add("module")

            @pytest.mark.db(isolation="none")
            def test_dirt():
                db.add("dirt")

            @pytest.mark.db(isolation="none")
            def test_layer(module):
                pass

            def test_clean(module):
                assert db.names() == ["module"]
        """
    )
    result.assert_outcomes(passed=3)


def test_schema_made_by_a_session_fixture_with_a_pool(project: Project) -> None:
    """The suite as it was: no `schema`, create_all in a session fixture, a module-level engine."""
    text = (project.path / "pyproject.toml").read_text()
    text = text.replace('schema = "app.models:Base.metadata"\n', "")
    (project.path / "pyproject.toml").write_text(text.replace('seed = "app.seed:fill"\n', ""))
    result = project.run(
        "--slipstream-audit",
        tests="""
            import pytest
            from sqlalchemy import text
            from app import db
            from app.models import Base

            @pytest.fixture(scope="session", autouse=True)
            def schema():
                Base.metadata.create_all(db.engine)
                with db.engine.begin() as connection:
                    connection.execute(text("insert into role (id, name) values (1, 'member')"))
                yield
                Base.metadata.drop_all(db.engine)

            @pytest.mark.parametrize("n", range(3))
            def test_user(n):
                assert db.names() == []
                db.add("ada")

            @pytest.mark.parametrize("n", range(2))
            def test_ddl(n):
                with db.engine.begin() as connection:
                    connection.execute(text("create table extra (a int)"))

            def test_after():
                assert db.names() == []
                assert db.add("ada") == 1
        """,
    )
    result.assert_outcomes(passed=6)


def test_finalizers_that_fail_where_a_layer_ends_are_reported_and_harm_nobody(
    project: Project,
) -> None:
    project.write(
        {
            "test_a.py": """
                import pytest
                from app import db

                @pytest.fixture(scope="module")
                def wide():
                    db.add("wide")
                    yield
                    assert db.names() == ["wide"]
                    raise RuntimeError("the wider finalizer")

                @pytest.fixture
                def own(wide):
                    db.add("own")
                    yield
                    raise RuntimeError("the test's own finalizer")

                def test_it(own):
                    pass
            """,
            "test_b.py": """
                from app import db

                def test_after():
                    assert db.names() == []
            """,
        }
    )
    result = project.run("--slipstream-audit")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*the test's own finalizer*", "*the wider finalizer*"])
