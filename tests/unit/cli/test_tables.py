"""The object that makes all tables is found, whatever the project calls it."""

from __future__ import annotations

import pytest

from pytest_slipstream.cli.discovery import tables

USER = "    __tablename__ = 'user'\n    id = 1\n"
DECLARATIONS = {
    "declarative class": "from sqlalchemy.orm import DeclarativeBase\n"
    "class Base(DeclarativeBase): ...\n",
    "star": "from sqlalchemy import *\nfrom sqlalchemy.orm import *\n"
    "class Base(DeclarativeBase): ...\n",
    "module alias": "import sqlalchemy.orm as orm\nclass Base(orm.DeclarativeBase): ...\n",
    "function": "from sqlalchemy.orm import declarative_base\nBase = declarative_base()\n",
    "old function": "from sqlalchemy.ext.declarative import declarative_base\n"
    "Base = declarative_base()\n",
}


@pytest.mark.parametrize("declared", DECLARATIONS.values(), ids=list(DECLARATIONS))
def test_a_declarative_base(tree, declared):
    found = tables.find(tree({"app/models.py": f"{declared}class User(Base):\n{USER}"}))
    assert [(one.text, one.tables) for one in found] == [("app.models:Base.metadata", 1)]


@pytest.mark.parametrize("names", ["MetaData, Table", "*"])
def test_core_tables(tree, names):
    found = tables.find(
        tree(
            {
                "schema.py": f"from sqlalchemy import {names}\n"
                "metadata = MetaData()\n"
                "users = Table('user', metadata)\norders = Table('order', metadata)\n"
            }
        )
    )
    assert [(one.text, one.tables) for one in found] == [("schema:metadata", 2)]


def test_sqlmodel(tree):
    found = tables.find(
        tree(
            {
                "app/models.py": "from sqlmodel import SQLModel\n"
                "class Shape(SQLModel):\n    name: str\n"
                "class User(Shape, table=True):\n    id: int\n"
            }
        )
    )
    assert [(one.text, one.tables) for one in found] == [("app.models:SQLModel.metadata", 1)]


def test_flask_sqlalchemy(tree):
    found = tables.find(
        tree(
            {
                "shop/extensions.py": "from flask_sqlalchemy import SQLAlchemy\n"
                "db = SQLAlchemy()\n",
                "shop/models.py": "from shop.extensions import db\n"
                "class User(db.Model):\n    id = db.Column(db.Integer)\n",
            }
        )
    )
    assert [one.text for one in found] == ["shop.models:db.metadata"]
    assert found[0].missed == ()


def test_the_module_that_imports_all_models_is_preferred(tree):
    found = tables.find(
        tree(
            {
                "app/db.py": DECLARATIONS["declarative class"],
                "app/models/__init__.py": "from app.db import Base\nfrom app.models import a, b\n",
                "app/models/a.py": f"from app.db import Base\nclass A(Base):\n{USER}",
                "app/models/b.py": f"from app.db import Base\nclass B(Base):\n{USER}",
            }
        )
    )
    assert [(one.text, one.tables, one.missed) for one in found] == [
        ("app.models:Base.metadata", 2, ())
    ]


def test_modules_that_nothing_imports_are_named(tree):
    (found,) = tables.find(
        tree(
            {
                "db.py": DECLARATIONS["declarative class"],
                "a.py": f"from db import Base\nclass A(Base):\n{USER}",
                "b.py": f"from db import Base\nclass B(Base):\n{USER}",
            }
        )
    )
    assert found.text == "a:Base.metadata"
    assert found.missed == ("b",)


def test_abstract_classes_and_tests_are_not_counted(tree):
    (found,) = tables.find(
        tree(
            {
                "m.py": DECLARATIONS["declarative class"]
                + "class Dated(Base):\n    __abstract__ = True\n    at = 1\n"
                + f"class User(Dated):\n{USER}",
                "tests/test_m.py": f"from m import Base\nclass Odd(Base):\n{USER}",
            }
        )
    )
    assert found.tables == 1


def test_a_base_without_tables_is_no_candidate(tree):
    assert tables.find(tree({"m.py": DECLARATIONS["declarative class"]})) == []
