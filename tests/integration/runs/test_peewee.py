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
    "sqlite by path": (
        "from pathlib import Path; from peewee import SqliteDatabase; "
        f"database = SqliteDatabase(Path({URL}.removeprefix('sqlite:///')))"
    ),
    # Threads hand each other its connections, which SQLite must be told.
    "sqlite, pool": POOL % "max_connections=3, check_same_thread=False",
    "mysql, pool": POOL % "max_connections=3",
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


@pytest.fixture
def peewee_project(
    way: str, request: pytest.FixtureRequest, pytester: pytest.Pytester, cache_dir: Path
) -> Project:
    """The application with its Database made in one of `WAYS`."""
    engine = way.replace(",", " ").split()[0]
    if engine == "mysql":
        request.getfixturevalue("require_mysql")
    project = Project(pytester, CONFIGURATION.format(engine=engine))
    project.write({"app/models.py": MODELS.format(database=WAYS[way]), "app/seed.py": SEED})
    return project


@pytest.mark.parametrize("way", WAYS)
def test_a_module_level_database(peewee_project: Project) -> None:
    result = peewee_project.run(*OPTIONS, tests=TESTS)
    result.assert_outcomes(passed=21)
    assert _left(peewee_project) == 8


@pytest.mark.parametrize(
    "way", ["sqlite, pool", "postgresql, psycopg2, pool", "postgresql, psycopg 3, proxy"]
)
def test_under_rollback(peewee_project: Project) -> None:
    result = peewee_project.run(*OPTIONS, "--slipstream-isolation=rollback", tests=TESTS)
    result.assert_outcomes(passed=21)
    assert _left(peewee_project) == 8
    cleaned = {event["strategy"] for event in peewee_project.events("TestCleaned")}
    assert cleaned == {"rollback"}


def _left(project: Project) -> int:
    """How many of the transactions that were left open have been reported."""
    left = [event["node_id"] for event in project.events("LeftoverFound")]
    return len([name for name in left if "test_a_transaction" in name])


@pytest.mark.parametrize("way", ["sqlite by path", "postgresql, psycopg2"])
def test_a_connection_of_a_wider_fixture(peewee_project: Project) -> None:
    result = peewee_project.run(
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


@pytest.mark.parametrize("way", ["postgresql, psycopg2"])
def test_a_transaction_of_a_wider_fixture(peewee_project: Project) -> None:
    result = peewee_project.run(
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
    assert peewee_project.events("LeftoverFound") == []
