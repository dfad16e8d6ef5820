"""Moving the suite's own servers in one process: from before its code is imported to the end.

The invariant: afterwards every driver is what it was, and of the embedded servers nothing is left.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_slipstream import events
from pytest_slipstream.databases.embedding.children import Children
from pytest_slipstream.databases.embedding.standin import StandIn
from pytest_slipstream.databases.engines.protocol import Progress
from pytest_slipstream.databases.routing.drivers import Patch
from pytest_slipstream.import_hook import ImportHook
from pytest_slipstream.settings.embed_verdicts import read_embed

_NOT_COVERED = {
    "postgresql": ("psycopg2cffi", "pgdb", "adbc_driver_postgresql"),
    "mysql": ("mysql.connector", "mariadb", "cymysql"),
}
_MYSQL = {
    "pymysql": ("pymysql.connections", "connect", ""),
    "aiomysql": ("aiomysql.connection", "_connect", "_"),
    "asyncmy": ("asyncmy.connection", "connect", "_"),
}
"""Of each driver: where its class of connections is, the method that opens one, and how the names
of its attributes begin."""
_MYSQLCLIENT = "MySQLdb.connections"


class Embedding:
    """Replaces the connect calls of drivers from `put_up` to `take_down`.

    Args:
        values: Of the option.
        cache_dir: Where embedded servers live.
        testrun_uid: The run's.
        progress: Told that a server starts.
    """

    def __init__(
        self, values: tuple[str, ...], *, cache_dir: Path, testrun_uid: str, progress: Progress
    ) -> None:
        meant = [read_embed(value) for value in values]
        self._stand_ins = {
            engine: StandIn(
                engine,
                [one for one in meant if one.engine == engine],
                cache_dir=cache_dir,
                testrun_uid=testrun_uid,
                progress=progress,
            )
            for engine in dict.fromkeys(one.engine for one in meant)
        }
        self._patched: list[tuple[Patch, Any]] = []
        self._hook = ImportHook(
            {
                name: partial(self._meet, name)
                for name in ("psycopg", "psycopg2", "asyncpg", "pg8000.core", *_MYSQL, _MYSQLCLIENT)
            }
        )
        self._children = Children(self._stand_ins)

    def put_up(self) -> None:
        """From now on connections are moved."""
        for stand_in in self._stand_ins.values():
            stand_in.hold()
        self._hook.put_up()
        self._children.put_up()

    def take_down(self) -> None:
        """Put everything back, and let go of the servers."""
        self._hook.take_down()
        self._children.take_down()
        while self._patched:
            patch, original = self._patched.pop()
            setattr(patch.holder, patch.name, original)
        for stand_in in self._stand_ins.values():
            stand_in.close()

    def continue_as_worker(self) -> None:
        """In a forked process: what was counted so far is its parent's to tell."""
        for stand_in in self._stand_ins.values():
            stand_in.forget()

    def pytest_report_header(self) -> list[str]:
        """What goes where."""
        return [
            f"slipstream: {one.title}: connections to {one.named} go to an embedded server, which "
            "is made for this run (--slipstream-embed)"
            for one in self._stand_ins.values()
        ]

    def report(self, emit: Callable[[events.Event], None]) -> None:
        """Tell what was moved, and what was not."""
        for engine, stand_in in self._stand_ins.items():
            stand_in.report(emit)
            for driver in _NOT_COVERED[engine]:
                if driver in sys.modules:
                    name = f"whatever the driver {driver} connects to: it is not known"
                    emit(events.ConnectionsMoved(server=name, times=0))

    def _meet(self, driver: str, module: ModuleType) -> None:
        """A driver is there: replace its connect calls."""
        engine = "mysql" if driver in (*_MYSQL, _MYSQLCLIENT) else "postgresql"
        stand_in = self._stand_ins.get(engine)
        if stand_in is None:
            return
        for patch in _patches(driver, module, stand_in):
            self._patched.append((patch, vars(patch.holder)[patch.name]))
            setattr(patch.holder, patch.name, patch.replacement)


def _patches(driver: str, module: ModuleType, stand_in: StandIn) -> list[Patch]:
    if driver in _MYSQL:
        from pytest_slipstream.databases.embedding import mysql_calls

        place, method, prefix = _MYSQL[driver]
        return mysql_calls.patches(sys.modules[place].Connection, method, prefix, stand_in)
    from pytest_slipstream.databases.embedding import constructors, postgresql_calls

    known = {
        "pg8000.core": constructors.pg8000_patches,
        _MYSQLCLIENT: constructors.mysqlclient_patches,
        "psycopg": postgresql_calls.psycopg_patches,
        "psycopg2": postgresql_calls.psycopg2_patches,
        "asyncpg": postgresql_calls.asyncpg_patches,
    }
    return known[driver](module, stand_in)
