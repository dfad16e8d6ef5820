"""What the fingerprint depends on, and what it does not."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pytest_slipstream.databases.fingerprint import Fingerprint, fingerprint
from pytest_slipstream.settings import DatabaseSettings

MODELS = "import sqlalchemy\nfrom fp_app.types import LENGTH\nmetadata = sqlalchemy.MetaData()\n"
OWN_TABLE = "own = sqlalchemy.Table('own', metadata, sqlalchemy.Column('id', sqlalchemy.Integer))\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in {
        "fp_app/__init__.py": "",
        "fp_app/models.py": MODELS,
        "fp_app/types.py": "LENGTH = 1",
        "fp_app/other.py": "",
        "fp_seed.py": "from fp_app import models\ndef fill(url): ...",
        "sql/1.sql": "SELECT 1",
        "sql/notes.txt": "",
        "backend/alembic.ini": "[alembic]\nscript_location = %(here)s/migrations\n"
        "prepend_sys_path = .\n",
        "backend/migrations/env.py": "import fp_backend\nimport alembic.context",
        "backend/migrations/versions/one.py": "from fp_app import other",
        "backend/migrations/versions/one.sql": "",
        "backend/migrations/versions/__pycache__/one.cpython-311.pyc": "",
        "backend/fp_backend.py": "",
        "broken.py": "def f(:",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def made(root: Path, server_identity: str = "server 1", **options: Any) -> Fingerprint:
    settings = DatabaseSettings(**{"engine": "sqlite", **options})
    return fingerprint(settings, root, server_identity, root / "cache")


def test_files_are_those_that_the_sources_run_import_or_read(root: Path) -> None:
    models = {"fp_app/__init__.py", "fp_app/models.py", "fp_app/types.py"}
    schema = made(root, schema=("fp_app.models:metadata",))
    assert set(schema.files) == models
    seed = made(root, schema=("sql",), seed=("fp_seed:fill",))
    assert set(seed.files) == models | {"fp_seed.py", "sql/1.sql"}


def test_migrations_count_whole_with_what_they_import(root: Path) -> None:
    assert set(made(root, schema=("backend/alembic.ini",)).files) == {
        "backend/alembic.ini",
        "backend/migrations/env.py",
        "backend/migrations/versions/one.py",
        "backend/migrations/versions/one.sql",
        "backend/fp_backend.py",
        "fp_app/__init__.py",
        "fp_app/other.py",
    }


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"engine": "postgresql"}, "option engine"),
        ({"schema": ("sql", "fp_app.models:metadata")}, "option schema"),
        ({"seed": ("fp_seed:fill",)}, "option seed"),
        ({"extensions": ("citext",)}, "option extensions"),
        ({"locale": "C"}, "option locale"),
        ({"server_identity": "server 2"}, "server"),
        ({"fingerprint": ("sql/*.txt",)}, "file sql/notes.txt"),
    ],
)
def test_what_shapes_a_template_changes_it(root: Path, change: dict[str, Any], part: str) -> None:
    before = made(root, schema=("fp_app.models:metadata",))
    after = made(root, **{"schema": ("fp_app.models:metadata",), **change})
    assert after.digest != before.digest
    assert part in after.changed_since(before)


@pytest.mark.parametrize(
    "change",
    [{"isolation": "clone"}, {"env": {"A": "{url}"}}, {"driver": "x"}, {"keep_templates": 1}],
)
def test_what_does_not_shape_it_does_not(root: Path, change: dict[str, Any]) -> None:
    assert made(root, schema=("sql",), **change) == made(root, schema=("sql",))


def test_the_file_that_changed_is_named(root: Path) -> None:
    before = made(root, schema=("fp_app.models:metadata",))
    (root / "fp_app/types.py").write_text("LENGTH = 2")
    after = made(root, schema=("fp_app.models:metadata",))
    assert after.changed_since(before) == ("file fp_app/types.py",)


def test_two_checkouts_of_the_same_project_share_a_template(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    (copy / "sql").mkdir(parents=True)
    (copy / "sql/1.sql").write_text("SELECT 1")
    assert made(copy, schema=("sql",)).digest == made(root, schema=("sql",)).digest


def test_nothing_is_imported(root: Path) -> None:
    made(root, schema=("fp_app.models:metadata", "backend/alembic.ini"), seed=("fp_seed:fill",))
    assert not {"fp_app", "fp_app.models", "fp_seed", "fp_backend"} & set(sys.modules)


def test_versions_of_packages_that_shape_ddl_count(root: Path) -> None:
    import sqlalchemy

    parts = dict(made(root, schema=("fp_app.models:metadata",)).parts)
    assert parts["package sqlalchemy"] == sqlalchemy.__version__
    assert "package sqlmodel" in parts
    assert "package sys" not in parts


def test_what_cannot_be_parsed_or_found_is_no_error(root: Path) -> None:
    assert made(root, schema=("broken:metadata",)).files == ("broken.py",)
    assert made(root, schema=("nowhere:metadata", "gone.ini", "gone/")).files == ("gone.ini",)


def test_tables_registered_from_elsewhere_count(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(root))
    (root / "fp_app/models.py").write_text(MODELS + OWN_TABLE)
    before = made(root, schema=("fp_app.models:metadata",))
    from fp_app import models  # type: ignore[import-not-found]
    from sqlalchemy import Column, Integer, Table

    try:
        assert made(root, schema=("fp_app.models:metadata",)) == before
        Table("elsewhere", models.metadata, Column("id", Integer, primary_key=True))
        after = made(root, schema=("fp_app.models:metadata",))
        assert after.changed_since(before) == ("tables elsewhere",)
        assert made(root, schema=("fp_app.models:metadata",)) == after
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "fp_app"]:
            del sys.modules[name]


def test_no_file_is_read_again_when_nothing_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pytest_slipstream.databases import known_files

    now = time.time_ns
    monkeypatch.setattr(known_files.time, "time_ns", lambda: now() + 10 * 10**9)
    package = tmp_path / "fp_big"
    package.mkdir()
    (package / "__init__.py").touch()
    for number in range(200):
        body = "import os, sqlalchemy\nfrom fp_big import models\n" + "x = 1\n" * 200
        (package / f"m{number}.py").write_text(body)
    names = ", ".join(f"m{number}" for number in range(200))
    (package / "models.py").write_text(f"from fp_big import {names}")
    options = {"schema": ("fp_big.models:metadata",)}
    first = made(tmp_path, **options)
    assert len(first.files) == 202

    def reads(known: object, file: str) -> None:
        raise AssertionError(f"{file} was read again")

    monkeypatch.setattr(known_files.KnownFiles, "_read", reads)
    assert made(tmp_path, **options) == first
