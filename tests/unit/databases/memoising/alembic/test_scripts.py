"""The files of migrations: what they may ask for, and when they are the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_slipstream.databases.memoising.alembic.scripts import Scripts, what_it_asks_for
from pytest_slipstream.databases.memoising.ledger import UnknownResultError


@pytest.mark.parametrize(
    "source",
    [
        "from alembic import op\nimport sqlalchemy as sa\nimport sqlmodel.sql.sqltypes",
        "from sqlalchemy.dialects import postgresql\nfrom collections.abc import Sequence",
        "import uuid, datetime, json\nfrom typing import Union",
    ],
)
def test_what_cannot_ask_for_the_world(source: str) -> None:
    assert what_it_asks_for(source.encode()) is None


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import os", "imports os"),
        ("import sqlalchemy\nfrom app.models import Base", "imports app.models"),
        ("from . import own", "imports ."),
        ("from flask import current_app", "imports flask"),
        ("def upgrade():\n    import random", "imports random"),
        ("from alembic import context, op", "asks for Alembic's configuration"),
        ("from alembic.context import config", "asks for Alembic's configuration"),
        ("import importlib", "imports importlib"),
        ("x = open('seed.csv')", "says 'open('"),
        ("x = op.get_context().config", "says '.config'"),
        ("sa.create_engine('sqlite://')", "says 'create_engine'"),
        ("__import__(name)", "says '__import__('"),
    ],
)
def test_what_may(source: str, said: str) -> None:
    assert what_it_asks_for(source.encode()) == said


def key(directory: Path, scripts: Scripts) -> str:
    return scripts.key(str(directory), [str(directory / "versions")])


def test_any_file_below_is_part_of_the_key(tmp_path: Path) -> None:
    (tmp_path / "versions" / "older").mkdir(parents=True)
    scripts, seen = Scripts(), set()
    for name, text in (
        ("env.py", "import os"),
        ("versions/one.py", "x = 1"),
        ("versions/one.py", "x = 2"),
        ("versions/older/zero.py", ""),
        ("seed.sql", "INSERT"),
    ):
        (tmp_path / name).write_text(text)
        assert key(tmp_path, scripts) == key(tmp_path, scripts) == key(tmp_path, Scripts())
        seen.add(key(tmp_path, scripts))
    assert len(seen) == 5


def test_a_file_of_long_ago_that_is_written_again_with_its_old_time(tmp_path: Path) -> None:
    scripts, file = Scripts(), tmp_path / "one.py"
    seen = set()
    for text in ("x = 1", "x = 2"):
        file.write_text(text)
        os.utime(file, ns=(0, 0))
        seen.add(scripts.key(str(tmp_path), [str(tmp_path)]))
    assert len(seen) == 2


def test_the_migration_that_asks_is_named(tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text("import os")

    with pytest.raises(UnknownResultError, match=r"^the migration two.py, which imports os$"):
        Scripts().key(str(tmp_path), [str(tmp_path)])
