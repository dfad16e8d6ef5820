"""Peewee models as a schema: however they are named, all of their tables are there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from pytest_slipstream.errors import MissingExtraError, TemplateError

if TYPE_CHECKING:
    from conftest import Bench

MODELS = """
    from peewee import (
        CharField, DatabaseProxy, DateTimeField, DeferredForeignKey, ForeignKeyField,
        ManyToManyField, Model, SqliteDatabase, UUIDField,
    )

    database = DatabaseProxy()

    class BaseModel(Model):
        id = UUIDField(primary_key=True)
        class Meta:
            database = database

    class Stamped(BaseModel):
        made_at = DateTimeField(null=True)

    class Article(Stamped):
        title = CharField(max_length=40)
        author = ForeignKeyField("self", null=True)
        newest_comment = DeferredForeignKey("Comment", null=True)
        class Meta:
            indexes = ((("title", "made_at"), True),)

    class Comment(Stamped):
        article = ForeignKeyField(Article, on_delete="CASCADE")

    class Tag(BaseModel):
        name = CharField(unique=True)
        articles = ManyToManyField(Article, backref="tags")

    Tagging = Tag.articles.get_through_model()
    MODELS = [Comment, Tag]
"""
TABLES = ["article", "comment", "tag", "tag_article_through"]
# A table for a class between: it has a field, and nothing says that it is not wanted.
WITH_STAMPED = sorted([*TABLES, "stamped"])
NAMES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' "
    "ORDER BY name",
    "postgresql": "SELECT relname::text FROM pg_class WHERE relkind = 'r' "
    "AND relnamespace = 'public'::regnamespace ORDER BY relname",
}


def tables(bench: Bench) -> list[str]:
    return [name for (name,) in bench.rows(NAMES[bench.settings.engine])]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("app.models:MODELS", TABLES),
        ("app.models:BaseModel", WITH_STAMPED),
        ("app.models:*", WITH_STAMPED),
        ("app.models:Tag", ["article", "comment", "tag", "tag_article_through"]),
        ("app.all:both", TABLES),
    ],
)
def test_what_can_be_named(bench: Bench, text: str, wanted: list[str]) -> None:
    bench.write(
        {
            "app/__init__.py": "",
            "app/models.py": MODELS,
            "app/all.py": """
                from app import models
                done = []
                def before(url): done.append(url)
                both = [before, models.Tag, models.Comment, before]
            """,
        }
    )
    bench.configure(schema=(text,))
    assert tables(bench) == wanted
    database = sys.modules["app.models"].database
    assert sys.modules["app.models"].Tag._meta.database is database
    assert database.obj is None


def test_a_package_whose_modules_hold_the_models(bench: Bench) -> None:
    bench.write(
        {
            "app/__init__.py": "",
            "app/models/__init__.py": "from app.models import orders, users",
            "app/models/base.py": "from peewee import Model\nclass Base(Model): pass\n",
            "app/models/users.py": """
                from peewee import TextField
                from app.models.base import Base
                class User(Base):
                    name = TextField()
            """,
            "app/models/orders.py": """
                from peewee import ForeignKeyField
                from app.models.base import Base
                from app.models.users import User
                class Order(Base):
                    user = ForeignKeyField(User)
            """,
        }
    )
    # The base class knows all of them too: importing it imports its package.
    for text in ("app.models:*", "app.models.base:Base"):
        bench.configure(schema=(text,))
        assert tables(bench) == ["order", "user"]


def test_constraints_and_indexes_are_the_applications(bench: Bench) -> None:
    bench.write({"models.py": MODELS})
    bench.configure(schema=("models:BaseModel",))
    if bench.settings.engine == "sqlite":
        indexes = "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        keys = "SELECT count(*) FROM pragma_foreign_key_list('article')"
        assert bench.rows(keys) == [(1,)]  # a deferred one cannot be added afterwards
    else:
        indexes = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public' AND indexname !~ "
        indexes += "'_pkey$'"
        keys = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conrelid = "
        assert bench.rows(f"{keys}'article'::regclass") == [(2,)]
    assert bench.rows(indexes) == [(8,)]


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_column_types_that_the_application_has_added(bench: Bench) -> None:
    bench.write(
        {
            "types.sql": "CREATE TYPE persons_mood AS ENUM ('glad', 'sad')",
            "models.py": """
                from peewee import Field, Model, PostgresqlDatabase

                class MoodField(Field):
                    field_type = "MOOD"

                class Person(Model):
                    mood = MoodField()
                    class Meta:
                        database = PostgresqlDatabase(None, field_types={"MOOD": "persons_mood"})
            """,
        }
    )
    bench.configure(schema=("types.sql", "models:Person"))
    kind = "SELECT udt_name FROM information_schema.columns WHERE column_name = 'mood'"
    assert bench.rows(kind) == [("persons_mood",)]


def test_a_seed_by_the_applications_own_database(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bench.engine() as engine:
        from pytest_slipstream.databases import naming, urls

        name = naming.slot_name(bench.owner.testrun_uid, "main", bench.key)
        monkeypatch.setenv("DATABASE_URL", urls.url(engine.address(name), ""))
    bench.write(
        {
            "app.py": """
                import os
                from peewee import Model, TextField
                from playhouse.db_url import connect
                database = connect(os.environ["DATABASE_URL"].replace(":", "+pool:", 1))
                class User(Model):
                    name = TextField()
                    class Meta:
                        database = database
                def fill():
                    User.create(name="seeded")
                    database.atomic().__enter__()
                    User.create(name="lost")
            """
        }
    )
    bench.configure(schema=("app:User",), seed=("app:fill",))
    assert bench.rows('SELECT name FROM "user"') == [("seeded",)]
    database = sys.modules["app"].database
    assert name in database.database
    assert database.is_closed()
    assert not database._connections
    assert not database._in_use


def test_a_model_from_elsewhere_counts_for_the_fingerprint(bench: Bench) -> None:
    models = {
        "base.py": "from peewee import Model\nclass Base(Model): pass\n",
        "one.py": """
            from peewee import TextField
            from base import Base
            class One(Base):
                name = TextField()
        """,
        "entry.py": "from importlib import import_module\nfrom base import Base\n"
        "import_module('one')\n",
        "two.py": "from base import Base\nclass Two(Base): pass\n",
    }
    bench.write(models)
    bench.configure(schema=("entry:Base",))
    assert tables(bench) == ["one"]
    sys.path.append(str(bench.root))
    try:
        import two  # type: ignore[import-not-found] # noqa: F401

        assert tables(bench) == ["one", "two"]
    finally:
        sys.path.remove(str(bench.root))
    assert bench.built == [True, True]


@pytest.mark.parametrize(
    ("text", "role", "message"),
    [
        ("odd:empty", "schema", "schema 'odd:empty': it is empty"),
        ("odd:mixed", "schema", "it is a list that holds an object of type 'int'"),
        ("odd:alone", "schema", "schema 'odd:alone': it is an object of type 'Alone'"),
        ("odd:peewee", "schema", "schema 'odd:peewee': it holds no Peewee models"),
        ("odd:Alone", "seed", "seed 'odd:Alone': Peewee models have no rows"),
        (
            "odd:Broken",
            "schema",
            "the field 'other' of the model Broken refers to the model 'gone'",
        ),
        ("odd:Wrong", "schema", "schema 'odd:Wrong' failed: "),
    ],
)
def test_what_cannot_be_applied_is_named(bench: Bench, text: str, role: str, message: str) -> None:
    bench.write(
        {
            "odd.py": """
                import peewee
                from peewee import DeferredForeignKey, Field, Model
                class Alone(Model): pass
                class Broken(Model):
                    other = DeferredForeignKey("Gone")
                class Nonsense(Field):
                    field_type = "NO SUCH (TYPE"
                class Wrong(Model):
                    field = Nonsense()
                empty, mixed, alone = [], [Alone, 7], Alone()
            """
        }
    )
    bench.configure(**{role: (text,)})
    with pytest.raises(TemplateError) as caught:
        bench.ready()
    assert message in caught.value.message


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_without_a_driver_the_install_line_is_given(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("peewee.psycopg", None)
    monkeypatch.setattr("peewee.psycopg2", None)
    bench.write({"models.py": MODELS})
    bench.configure(schema=("models:BaseModel",))
    with pytest.raises(MissingExtraError, match=r"cannot create the tables: .*driver") as caught:
        bench.ready()
    assert "pip install" in (caught.value.hint or "")
