"""Memoising in one process: from before the user's code is imported to the end of the run.

The invariant: afterwards every library is what it was.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

from pytest_slipstream import events
from pytest_slipstream.databases.memoising.first_calls import FirstCalls, Seen
from pytest_slipstream.databases.memoising.ledger import Ledger
from pytest_slipstream.databases.memoising.mysql.on_mysql import OnMysql
from pytest_slipstream.import_hook import ImportHook

if TYPE_CHECKING:
    from pytest_slipstream.databases.memoising.checking import Checking
    from pytest_slipstream.databases.memoising.tortoise.databases import TortoiseDatabases
    from pytest_slipstream.databases.memoising.whole.databases import WholeDatabases

_SENDS_WHOLE = {
    "psycopg": "meet_psycopg",
    "psycopg2": "meet_psycopg2",
    "asyncpg": "meet_asyncpg",
    "sqlalchemy.dialects.postgresql.asyncpg": "meet_asyncpg_of_sqlalchemy",
}
CHECKS_EVERY = 10
"""One run of so many checks a sample of what it restores."""


class StandsIn(Protocol):
    """What stands in for a library's operations."""

    def put_up(self) -> None:
        """From now on."""

    def take_down(self) -> None:
        """No more."""


class Memoising:
    """Stands in for the schema operations of libraries from `put_up` to `take_down`.

    Args:
        testrun_uid: Decides whether this run checks a sample; all its workers decide alike.
        audit: Check everything that is restored.
    """

    def __init__(self, testrun_uid: str, *, audit: bool) -> None:
        self._ledger = Ledger()
        self._audit = audit
        self._sample = int(testrun_uid[:8], 16) % CHECKS_EVERY == 0
        self._undo: list[Callable[[], None]] = []
        self._hook = ImportHook(
            {
                "sqlalchemy": self._meet_sqlalchemy,
                "peewee": self._meet_peewee,
                "pymysql.connections": self._meet_pymysql,
                "alembic.command": self._meet_alembic,
                "tortoise.backends.base.schema_generator": self._meet_tortoise,
                **{name: partial(self._meet_whole, name) for name in _SENDS_WHOLE},
                "tortoise.backends.base_postgres.client": self._meet_tortoise_on_postgresql,
            }
        )
        self._checking: Checking | None = None
        self._tortoise_databases: TortoiseDatabases | None = None
        self._on_mysql = OnMysql(self._ledger, self._check)
        self._whole: WholeDatabases | None = None

    def put_up(self) -> None:
        """Replace the operations, now or when their library is imported."""
        self._on_mysql.put_up()
        self._hook.put_up()

    def take_down(self) -> None:
        """Put everything back."""
        self._hook.take_down()
        if self._whole is not None:
            self._whole.leave()
        self._on_mysql.take_down()
        while self._undo:
            self._undo.pop()()

    def report(self, emit: Callable[[events.Event], None]) -> None:
        """Tell what was replaced, and what was not and why."""
        if self._whole is not None:
            self._whole.leave()
        self._ledger.report(emit)

    def _meet_sqlalchemy(self, module: ModuleType) -> None:
        from sqlalchemy import MetaData

        seen = Seen()

        def follow() -> None:
            from pytest_slipstream.databases.memoising.sqlalchemy.calls import MetadataCalls

            self._stand_in(MetadataCalls(self._ledger, self._check(), self._on_mysql, seen))

        self._stand_in(FirstCalls(MetaData, ("create_all", "drop_all"), follow, seen.is_new))

    def _meet_peewee(self, module: ModuleType) -> None:
        def follow() -> None:
            from pytest_slipstream.databases.memoising.peewee_calls import PeeweeCalls

            self._stand_in(PeeweeCalls(self._ledger, self._check(), self._on_mysql))

        self._stand_in(FirstCalls(module.Database, ("create_tables", "drop_tables"), follow))

    def _meet_pymysql(self, module: ModuleType) -> None:
        from pytest_slipstream.databases.memoising.tls_contexts import TlsContexts

        self._stand_in(TlsContexts(module, self._ledger))

    def _meet_alembic(self, module: ModuleType) -> None:
        """Many import it, since their extension of Flask does, and few migrate."""
        from alembic.runtime.migration import MigrationContext

        def follow() -> None:
            from pytest_slipstream.databases.memoising.alembic.calls import AlembicCalls

            self._stand_in(AlembicCalls(self._ledger, self._check(), self._on_mysql))

        self._stand_in(FirstCalls(MigrationContext, ("run_migrations",), follow))

    def _meet_tortoise(self, module: ModuleType) -> None:
        def follow() -> None:
            from pytest_slipstream.databases.memoising.tortoise.calls import TortoiseCalls
            from pytest_slipstream.databases.memoising.tortoise.on_mysql import TortoiseOnMysql

            on_mysql = TortoiseOnMysql(self._ledger, self._on_mysql)
            self._stand_in(TortoiseCalls(self._ledger, self._check(), self._tortoise(), on_mysql))

        method = ("generate_from_string",)
        self._stand_in(FirstCalls(module.BaseSchemaGenerator, method, follow))

    def _meet_tortoise_on_postgresql(self, module: ModuleType) -> None:
        def follow() -> None:
            self._stand_in(self._tortoise())

        self._stand_in(FirstCalls(module.BasePostgresClient, ("db_create",), follow))

    def _tortoise(self) -> TortoiseDatabases:
        from pytest_slipstream.databases.memoising.tortoise.databases import TortoiseDatabases

        if self._tortoise_databases is None:
            self._tortoise_databases = TortoiseDatabases(self._ledger, self._check())
        return self._tortoise_databases

    def _meet_whole(self, driver: str, module: ModuleType) -> None:
        """What sends statements about whole databases of PostgreSQL."""
        from pytest_slipstream.databases.memoising.whole.calls import WholeCalls

        calls = WholeCalls(self._whole_databases)
        self._undo.append(calls.take_down)
        getattr(calls, _SENDS_WHOLE[driver])(module)

    def _whole_databases(self) -> WholeDatabases:
        from pytest_slipstream.databases.memoising.whole.databases import WholeDatabases

        if self._whole is None:
            self._whole = WholeDatabases(self._ledger, self._check)
        return self._whole

    def _stand_in(self, calls: StandsIn) -> None:
        calls.put_up()
        self._undo.append(calls.take_down)

    def _check(self) -> Checking:
        from pytest_slipstream.databases.memoising.checking import Checking

        if self._checking is None:
            self._checking = Checking(self._ledger, audit=self._audit, sample=self._sample)
        return self._checking
