"""What names all of a project's Peewee models is found: a list, a base class, a module."""

from __future__ import annotations

import pytest

from pytest_slipstream.cli.discovery import fixtures, peewee_tables
from pytest_slipstream.cli.discovery.proposal import look, propose
from pytest_slipstream.cli.init import check, describe, extended

BASE = "import peewee\nclass Base(peewee.Model):\n    class Meta: database = db\n"
USER = "class User(Base):\n    name = peewee.CharField()\n"
ORDER = "class Order(Base):\n    user = peewee.ForeignKeyField(User)\n"


@pytest.mark.parametrize(
    ("code", "text", "count"),
    [
        (f"{BASE}{USER}{ORDER}", "models:Base", 2),
        (f"{BASE}{USER}{ORDER}MODELS = (User, Order)\n", "models:MODELS", 2),
        (f"{BASE}{USER}{ORDER}SOME = [User]\nALL = [Order, User]\n", "models:ALL", 2),
        (f"{BASE}{USER}{ORDER}SOME = [User]\n", "models:Base", 2),
        ("from peewee import *\nclass A(Model):\n    x = CharField()\n", "models:*", 1),
        ("from peewee import Model\nclass A(Model): pass\nclass B(Model): pass\n", "models:*", 2),
        ("from playhouse.signals import Model\nclass A(Model): pass\n", "models:*", 1),
        (
            "from playhouse.flask_utils import FlaskDB\ndb = FlaskDB()\nclass A(db.Model): pass\n",
            "models:*",
            1,
        ),
        (
            "from playhouse.pool import PooledPostgresqlDatabase\n"
            "db = PooledPostgresqlDatabase('x')\nclass A(db.Model): pass\n",
            "models:*",
            1,
        ),
        (
            "from peewee import *\nclass Base(Model):\n    id = UUIDField(primary_key=True)\n"
            "class Named(Base):\n    name = CharField()\nclass A(Named): pass\n",
            "models:Base",
            2,
        ),
    ],
)
def test_one_module(tree, code, text, count):
    (found,) = peewee_tables.find(tree({"models.py": code}))
    assert (found.text, found.tables, found.missed, found.library) == (text, count, (), "peewee")


def test_the_module_that_imports_all_models_is_preferred(tree):
    files = {
        "app/db.py": BASE,
        "app/models/__init__.py": "from app.db import Base\nfrom app.models import orders, users\n",
        "app/models/users.py": f"import peewee\nfrom app.db import Base\n{USER}",
        "app/models/orders.py": "import peewee\nfrom app.db import Base\n"
        f"from app.models.users import User\n{ORDER}",
    }
    (found,) = peewee_tables.find(tree(files))
    assert (found.text, found.missed) == ("app.models:Base", ())


def test_modules_that_are_missed_are_named(tree):
    declared = "from peewee import Model\nclass {}(Model): pass\n"
    (found,) = peewee_tables.find(
        tree(
            {"a.py": declared.format("A") + "class C(Model): pass\n", "b.py": declared.format("B")}
        )
    )
    assert (found.text, found.missed) == ("a:*", ("b",))


def test_other_models_are_none(tree):
    code = "from app import Model\nclass A(Model):\n    x = 1\n"
    assert list(peewee_tables.find(tree({"models.py": code, "tests/m.py": BASE + USER}))) == []


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        (
            "from playhouse.db_url import connect\n"
            "db = connect(os.environ.get('DATABASE_URL', 'postgresql://h/d'))\n",
            ['engine = "postgresql"', 'driver = ""', 'env = { DATABASE_URL = "{url}" }'],
        ),
        (
            "from playhouse.db_url import connect\n"
            "db = connect(os.environ.get('DATABASE_URL', 'postgresql+pool://h/d'))\n",
            [
                'engine = "postgresql"',
                'driver = ""',
                'env = { DATABASE_URL = "postgresql+pool://{user}@/{database}?host={socket_dir}" }',
            ],
        ),
        (
            "db = peewee.PostgresqlDatabase(os.environ['DB_NAME'], host=os.environ['DB_HOST'])\n",
            [
                'engine = "postgresql"',
                'driver = ""',
                "tcp = true",
                'env = { DB_NAME = "{database}", DB_HOST = "{host}" }',
            ],
        ),
        (
            "db = peewee.MySQLDatabase(os.environ['MYSQL_DB'], host=os.environ['MYSQL_HOST'])\n",
            [
                'engine = "mysql"',
                'driver = ""',
                "tcp = true",
                'env = { MYSQL_DB = "{database}", MYSQL_HOST = "{host}" }',
            ],
        ),
        (
            "db = peewee.SqliteDatabase(os.environ['DB_NAME'])\n",
            ['engine = "sqlite"', 'env = { DB_NAME = "{database}" }'],
        ),
    ],
)
def test_the_configuration(tree, code, lines):
    files = {
        "app/models.py": f"import os\n{code}{BASE}{USER}",
        "requirements.txt": "flask\npeewee\npsycopg2-binary\nflask-sqlalchemy\n",
        "tests/test_a.py": "from peewee import SqliteDatabase\ndb = SqliteDatabase(':memory:')\n",
    }
    found = propose(look(tree(files)))
    assert found.open == ()
    check(extended(b"", found.table))
    table = [line for line in found.table.splitlines() if not line.startswith(("[", "schema"))]
    assert table == lines
    assert 'schema = "app.models:Base"' in found.table
    frameworks = [reason.value for reason in found.reasons if reason.what == "framework"]
    assert frameworks == ["Flask", "Flask-SQLAlchemy", "Peewee"]


def test_with_test_db_can_be_deleted(tree):
    code = (
        "from functools import wraps\n"
        "def with_test_db(models):\n"
        "    def decorator(function):\n"
        "        @wraps(function)\n"
        "        def closure(*args):\n"
        "            with db.bind_ctx(models):\n"
        "                db.create_tables(models)\n"
        "                function(*args)\n"
        "                db.drop_tables(models)\n"
        "        return closure\n"
        "    return decorator\n"
        "def repeated(times):\n    def decorator(f): return f\n    return decorator\n"
    )
    (found,) = fixtures.find(tree({"tests/conftest.py": code}))
    assert describe(found) == (
        "with_test_db binds the models to another database and creates the tables and drops the "
        "tables: it can be deleted, and with it every @with_test_db above a test"
    )
