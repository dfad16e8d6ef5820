"""The order of SQL files."""

from __future__ import annotations

from pathlib import Path

from pytest_slipstream.databases.sources import DirectorySource, ScriptSource
from pytest_slipstream.databases.sources.scripts import files, natural


def test_numbers_are_ordered_by_value() -> None:
    names = [
        "10_orders",
        "2_users",
        "1_types",
        "2_users_more",
        "users",
        "02_roles",
        "V1.10",
        "V1.9",
    ]
    assert sorted(names, key=natural) == [
        "1_types", "02_roles", "2_users", "2_users_more", "10_orders", "V1.9", "V1.10", "users",
    ]  # fmt: skip


def test_a_directory_gives_its_sql_files_those_below_included(tmp_path: Path) -> None:
    for name in ("10.sql", "9.sql", "notes.txt", "9_extra/1.sql", "a.SQL.bak"):
        path = tmp_path / "sql" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = files(DirectorySource("schema", "sql"), tmp_path)
    assert [file.relative_to(tmp_path / "sql").as_posix() for file in found] == [
        "9.sql",
        "9_extra/1.sql",
        "10.sql",
    ]


def test_what_is_not_there_gives_nothing(tmp_path: Path) -> None:
    assert files(DirectorySource("schema", "sql"), tmp_path) == []
    assert files(ScriptSource("schema", "a.sql"), tmp_path) == []
