"""A project's files are parsed, and names are followed to where they were defined."""

from __future__ import annotations

import pytest

from pytest_slipstream.errors import ConfigurationError


def test_modules_are_named_as_they_are_imported(tree):
    found = tree(
        {
            "pyproject.toml": "[tool.pytest.ini_options]\npythonpath = ['backend']\n",
            "app/main.py": "",
            "app/__init__.py": "",
            "src/shop/models.py": "",
            "backend/api/routes.py": "",
        }
    )
    assert {source.module for source in found.sources} == {
        "app",
        "app.main",
        "shop.models",
        "api.routes",
    }


def test_environments_and_broken_files_are_passed_over(tree):
    found = tree(
        {
            "app.py": "",
            "broken.py": "def",
            ".venv/lib/thing.py": "",
            "node_modules/thing.py": "",
            "myenv/pyvenv.cfg": "",
            "myenv/lib/thing.py": "",
        }
    )
    assert [source.path for source in found.sources] == ["app.py"]


@pytest.mark.parametrize(
    "imported",
    ["from app.db import Base", "from .db import Base", "from app.base import Root as Base"],
)
def test_a_name_is_followed_through_re_exports(tree, imported):
    found = tree(
        {
            "app/__init__.py": imported,
            "app/db.py": "from app.base import Root as Base",
            "app/base.py": "class Root: ...",
        }
    )
    assert found.canonical("app.Base") == "app.base.Root"


def test_names_that_import_each_other_do_not_hang(tree):
    found = tree({"one.py": "from two import x", "two.py": "from one import x"})
    assert found.canonical("one.x") in ("one.x", "two.x")


def test_what_a_module_imports_is_reached_with_its_packages(tree):
    found = tree(
        {
            "app/__init__.py": "from app import models",
            "app/models.py": "",
            "app/routes/users.py": "import os",
            "app/other.py": "",
        }
    )
    assert found.reached_from("app.routes.users") == {"app.routes.users", "app", "app.models"}


def test_requirements_come_from_every_usual_place(tree):
    found = tree(
        {
            "pyproject.toml": """
                [project]
                dependencies = ["FastAPI>=0.100", "sqlalchemy[asyncio,postgresql-asyncpg]"]
                [project.optional-dependencies]
                dev = ["Flask_SQLAlchemy"]
                [dependency-groups]
                test = ["aiosqlite", {include-group = "dev"}]
            """,
            "requirements-dev.txt": "# drivers\npsycopg2-binary==2.9\n-r other.txt\n",
        }
    )
    wanted = {"fastapi", "asyncpg", "flask-sqlalchemy", "aiosqlite", "psycopg2-binary", "psycopg2"}
    assert wanted <= found.requirements


def test_a_broken_pyproject_is_named(tree):
    with pytest.raises(ConfigurationError, match=r"pyproject\.toml is not valid TOML"):
        tree({"pyproject.toml": "[tool"})
