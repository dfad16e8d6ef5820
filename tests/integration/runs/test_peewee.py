"""Applications on Peewee: nothing in them is named or changed, whatever a test does."""

from __future__ import annotations

from pathlib import Path

import pytest

from projects import Project

OPTIONS = ("-Werror", "-pno:asyncio", "--slipstream-audit")
CONFIGURATION = """
    [tool.slipstream.databases.main]
    engine = "{engine}"
    driver = ""
    schema = "app.models:BaseModel"
    seed = "app.seed:fill"
    env = {{ DATABASE_URL = "{{url}}" }}
"""
MODELS = """
    import os
    from peewee import CharField, DatabaseProxy, ForeignKeyField, Model
    {database}

    class BaseModel(Model):
        class Meta:
            database = database

    class Role(BaseModel):
        name = CharField(unique=True)

    class User(BaseModel):
        name = CharField(unique=True)
        role = ForeignKeyField(Role, backref="users")

    def add(name):
        return User.create(name=name, role=Role.get(Role.name == "admin")).id

    def names():
        return [user.name for user in User.select().order_by(User.id)]
"""
SEED = """
    from app.models import Role, database

    def fill():
        # By the application's own Database, whose connection stays open.
        for name in ("admin", "member"):
            Role.create(name=name)
"""
BY_URL = "from playhouse.db_url import connect"
URL = 'os.environ["DATABASE_URL"]'
POOL = f'{BY_URL}; database = connect({URL}.replace(":", "+pool:", 1), %s)'
WAYS = {
    "sqlite by URL": f"{BY_URL}; database = connect({URL})",
    "sqlite, pool": POOL % "max_connections=3",
    "postgresql, psycopg2": f"{BY_URL}; database = connect({URL})",
    "postgresql, psycopg2, pool": POOL % "max_connections=3",
    "postgresql, psycopg 3, pool": POOL % "prefer_psycopg3=True",
    "postgresql, psycopg 3, proxy": (
        f"{BY_URL}; database = DatabaseProxy(); "
        f"database.initialize(connect({URL}, prefer_psycopg3=True))"
    ),
    "postgresql, whole URL, one state for all threads": (
        f"from peewee import PostgresqlDatabase; "
        f"database = PostgresqlDatabase({URL}, thread_safe=False)"
    ),
}
TESTS = """
    import threading

    import pytest
    from peewee import IntegrityError
    from app.models import Role, User, add, database, names


    @pytest.mark.parametrize("n", range(3))
    def test_commits(n):
        assert names() == []
        with database.atomic():
            assert add("ada") == 1
        with pytest.raises(IntegrityError), database.atomic():
            add("ada")
        assert names() == ["ada"]


    @pytest.mark.parametrize("n", range(3))
    def test_ddl(n):
        database.execute_sql("CREATE TABLE extra (a INTEGER)")
        assert add("bob") == 1


    @pytest.mark.parametrize("n", range(3))
    def test_seed_rows_are_back(n):
        assert [role.name for role in Role.select()] == ["admin", "member"]
        Role.delete().execute()


    @pytest.mark.parametrize("n", range(3))
    def test_a_transaction_is_left_open(n):
        with database.atomic():
            pass  # would call what waits for a commit
        database.atomic().__enter__()
        assert add("eve") == 1
        if hasattr(database, "after_commit"):  # since Peewee 4
            database.after_commit(lambda: pytest.fail("nothing was committed"))


    @pytest.mark.parametrize("n", range(3))
    def test_a_transaction_is_left_open_by_hand(n):
        database.begin()
        assert add("eve") == 1


    @pytest.mark.parametrize("n", range(2))
    def test_a_transaction_has_failed_and_is_left(n):
        database.atomic().__enter__()
        add("eve")
        with pytest.raises(IntegrityError):
            add("eve")


    @pytest.mark.parametrize("n", range(2))
    def test_threads(n):
        def work():
            with database.connection_context():
                add("ted")
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert names() == ["ted"]


    def test_a_connection_context():
        if not database.is_closed():
            database.close()
        with database.connection_context():
            assert add("ada") == 1
        assert database.is_closed()


    def test_last():
        assert names() == []
        assert not database.in_transaction()
"""


def _project(pytester: pytest.Pytester, way: str) -> Project:
    engine = "sqlite" if way.startswith("sqlite") else "postgresql"
    project = Project(pytester, CONFIGURATION.format(engine=engine))
    project.write({"app/models.py": MODELS.format(database=WAYS[way]), "app/seed.py": SEED})
    return project


@pytest.mark.parametrize("way", WAYS)
def test_a_module_level_database(pytester: pytest.Pytester, cache_dir: Path, way: str) -> None:
    project = _project(pytester, way)
    result = project.run(*OPTIONS, tests=TESTS)
    result.assert_outcomes(passed=21)
    left = [event["node_id"] for event in project.events("LeftoverFound")]
    assert len([name for name in left if "test_a_transaction" in name]) == 8


@pytest.mark.parametrize("way", ["sqlite by URL", "postgresql, psycopg2"])
def test_a_connection_of_a_wider_fixture(
    pytester: pytest.Pytester, cache_dir: Path, way: str
) -> None:
    result = _project(pytester, way).run(
        *OPTIONS,
        tests="""
            import pytest
            from app.models import add, database, names

            @pytest.fixture(scope="module", autouse=True)
            def connection():
                with database.connection_context():
                    yield
                assert database.is_closed()

            @pytest.mark.parametrize("n", range(2))
            def test_ddl(n):
                database.execute_sql("CREATE TABLE extra (a INTEGER)")
                assert names() == []
                add("ada")
        """,
    )
    result.assert_outcomes(passed=2)


def test_a_transaction_of_a_wider_fixture(pytester: pytest.Pytester, cache_dir: Path) -> None:
    project = _project(pytester, "postgresql, psycopg2")
    result = project.run(
        *OPTIONS,
        tests="""
            import pytest
            from app.models import add, database, names

            @pytest.fixture(scope="module", autouse=True)
            def transaction():
                with database.atomic() as transaction:
                    add("ada")
                    yield
                    transaction.rollback()

            @pytest.mark.parametrize("n", range(2))
            def test_savepoint(n):
                with database.atomic() as savepoint:
                    add("bob")
                    savepoint.rollback()
                assert names() == ["ada"]
        """,
    )
    result.assert_outcomes(passed=2)
    assert project.events("LeftoverFound") == []
