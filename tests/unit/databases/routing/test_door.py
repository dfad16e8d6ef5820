"""The door: which calls it notices, and that it leaves no trace."""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Generator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_slipstream import events
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.routing.door import Door
from pytest_slipstream.import_hook import ImportHook


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[str, None, None]:
    """A package that was not imported yet."""
    (tmp_path / "late_driver").mkdir()
    (tmp_path / "late_driver/__init__.py").write_text("from late_driver.inner import Thing\n")
    (tmp_path / "late_driver/inner.py").write_text("class Thing:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "late_driver"
    for name in ("late_driver", "late_driver.inner"):
        sys.modules.pop(name, None)


def test_a_module_is_met_once_right_after_its_import(package: str) -> None:
    met: list[ModuleType] = []
    hook = ImportHook({package: met.append, "json": met.append})
    hook.put_up()
    try:
        assert [module.__name__ for module in met] == ["json"]  # it was there
        module = importlib.import_module(package)
        assert met[1:] == [module]
        assert importlib.reload(module) is module
        assert len(met) == 2
        assert pickle.loads(pickle.dumps(module.Thing())).__class__ is module.Thing
        assert "exec_module" not in vars(module.__loader__)
    finally:
        hook.take_down()
    assert hook not in sys.meta_path


def test_an_import_that_fails_is_met_when_it_succeeds(package: str, tmp_path: Path) -> None:
    met: list[ModuleType] = []
    hook = ImportHook({package: met.append})
    inner = tmp_path / "late_driver/inner.py"
    source = inner.read_text()
    inner.write_text("raise ImportError('not today')\n")
    hook.put_up()
    try:
        with pytest.raises(ImportError, match="not today"):
            importlib.import_module(package)
        inner.write_text(source)
        importlib.invalidate_caches()
        sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
        importlib.import_module(package)
        sys.dont_write_bytecode = before
        assert len(met) == 1
    finally:
        hook.take_down()


class Wrapped:
    """A finder of the application's, in which another one is."""

    def __init__(self, finder: Any) -> None:
        self.find_spec = finder.find_spec


def test_an_application_may_wrap_all_finders(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[ModuleType] = []
    hook = ImportHook({package: met.append})
    hook.put_up()
    try:
        with monkeypatch.context() as patch:
            finders = [Wrapped(one) for one in sys.meta_path]
            patch.setattr(sys, "meta_path", finders)
            assert met == [importlib.import_module(package)]
    finally:
        hook.take_down()


def test_files_are_recognised_however_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "slot one.db"
    (tmp_path / "link.db").symlink_to(path)
    door = Door(lambda event: None)
    entrance = door.add("main", Address(engine="sqlite", database="slot", path=str(path)))
    monkeypatch.chdir(tmp_path)
    for name in (str(path), path, str(path).encode(), "slot one.db", "./link.db"):
        assert door.to_file(name, is_uri=False) is entrance
    for uri in (f"file:{path}", f"file:{path}?mode=ro", f"file://{path}", "file:slot%20one.db"):
        assert door.to_file(uri, is_uri=True) is entrance
        assert door.to_file(uri, is_uri=False) is None
    for other in (":memory:", "", str(tmp_path / "other.db"), None, 7):
        assert door.to_file(other, is_uri=False) is None


def test_a_database_in_memory_is_recognised_by_its_uri() -> None:
    door = Door(lambda event: None)
    address = Address(engine="sqlite", database="slot", path="file:/slot?vfs=memdb")
    entrance = door.add("main", address)
    assert door.to_file("file:/slot?vfs=memdb", is_uri=True) is entrance
    assert door.to_file("file:/other?vfs=memdb", is_uri=True) is None


def test_a_driver_that_is_not_as_expected_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import psycopg2

    emitted: list[events.Event] = []
    monkeypatch.delattr(psycopg2, "connect")
    door = Door(emitted.append)
    door.add("main", Address(engine="postgresql", database="slot"))
    door.put_up()
    door.take_down()
    assert [event.driver for event in emitted if isinstance(event, events.DriverLeftAlone)] == [
        "psycopg2"
    ]


def test_every_driver_is_what_it_was(tmp_path: Path) -> None:
    import asyncpg
    import psycopg
    import psycopg2
    import pymysql

    def connects() -> list[object]:
        return [
            psycopg.connect,
            vars(psycopg.Connection)["connect"],
            vars(psycopg.AsyncConnection)["connect"],
            psycopg2.connect,
            pymysql.connect,
            asyncpg.connect,
        ]

    before = connects()
    door = Door(lambda event: None)
    for engine in ("postgresql", "mysql"):
        door.add(engine, Address(engine=engine, database=f"slot_of_{engine}"))
    door.put_up()
    assert all(now is not was for now, was in zip(connects(), before, strict=True))
    door.take_down()
    assert connects() == before
