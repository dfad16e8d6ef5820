"""The drivers' calls that send ``CREATE DATABASE`` and ``DROP DATABASE``.

The invariant: a connection that is in a transaction, or whose statement has parameters, is left
alone, and so is everything that is no such statement. Most who import a driver never send one: what
knows more is imported with the first.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_slipstream.databases.memoising.whole.concerns import concerns

if TYPE_CHECKING:
    from pytest_slipstream.databases.engines.protocol import Address
    from pytest_slipstream.databases.memoising.whole.databases import Instead, WholeDatabases
    from pytest_slipstream.databases.memoising.whole.statements import Create, Drop, Facts
    from pytest_slipstream.databases.routing.drivers.classes import Classes

_IDLE = 0  # PQTRANS_IDLE
_TUPLES = 2  # PGRES_TUPLES_OK
_OWN = "pytest_slipstream."
_TYPES = ("bool", "bool", "bool", "text", "int", "bool", "bool", "text", "bool")
"""Of `Facts`, but for the last."""
_ATTEMPTS, _PAUSE_S = 30, 0.0005
Ask = Callable[[str], Sequence[Any]]


class WholeCalls:
    """Stands in for the drivers' calls.

    Args:
        whole: Knows what to send. Asked for when the first statement may be about databases: most
            suites send none.
    """

    def __init__(self, whole: Callable[[], WholeDatabases]) -> None:
        self._whole = whole
        self._undo: list[Callable[[], None]] = []

    def meet_psycopg(self, module: ModuleType) -> None:
        """`execute` of its cursors, through which `Connection.execute` goes, too."""
        for kind in (module.Cursor, module.AsyncCursor):
            execute = vars(kind)["execute"]
            replacement = self._async_execute if kind is module.AsyncCursor else self._execute
            self._replace(kind, "execute", functools.wraps(execute)(replacement(execute)))

    def _execute(self, execute: Callable[..., Any]) -> Callable[..., Any]:
        def replaced(cursor: Any, query: Any, params: Any = None, **options: Any) -> Any:
            instead = self._of_psycopg(cursor, query, params)
            if instead is None:
                return execute(cursor, query, params, **options)
            try:
                result = execute(cursor, instead.text.encode(), None, **options)
            except Exception:  # noqa: BLE001 - the statement itself will say it
                instead.failed()
                return execute(cursor, query, params, **options)
            instead.done()
            return result

        return replaced

    def _async_execute(self, execute: Callable[..., Any]) -> Callable[..., Any]:
        async def replaced(cursor: Any, query: Any, params: Any = None, **options: Any) -> Any:
            instead = self._of_psycopg(cursor, query, params)
            if instead is None:
                return await execute(cursor, query, params, **options)
            try:
                result = await execute(cursor, instead.text.encode(), None, **options)
            except Exception:  # noqa: BLE001 - the statement itself will say it
                instead.failed()
                return await execute(cursor, query, params, **options)
            instead.done()
            return result

        return replaced

    def _of_psycopg(self, cursor: Any, query: Any, params: Any) -> Instead | None:
        connection = cursor.connection
        if _is_slipstreams(connection):
            return None
        statement = None if params else self._read(_text(query, connection))
        if statement is None or not connection.autocommit:
            return None
        session = connection.pgconn
        if session.transaction_status != _IDLE or session.pipeline_status:
            return None
        types = (*_TYPES, statement.state_type)

        def ask() -> Sequence[Any] | None:
            result = session.exec_(statement.question.encode())
            if result.status != _TUPLES:
                return None
            return [_value(result.get_value(0, n), kind) for n, kind in enumerate(types)]

        return self._asked(statement, ask, connection.info)

    def _asked(
        self, statement: Create | Drop, ask: Callable[[], Sequence[Any] | None], info: Any
    ) -> Instead | None:
        """Somebody who is in the database may be on the way out: the server waits for them, too."""
        facts = _facts(ask())
        for _ in range(_ATTEMPTS):
            if facts is None or not facts.is_used:
                break
            time.sleep(_PAUSE_S)
            facts = _facts(ask())
        if facts is None:
            return None
        where = _address(info.host, info.port, info.user, info.password)
        return self._whole().instead(statement, facts, where)

    def meet_asyncpg(self, module: ModuleType) -> None:
        """`Connection.execute`."""
        execute = vars(module.Connection)["execute"]

        @functools.wraps(execute)
        async def replaced(connection: Any, query: str, *args: Any, **options: Any) -> str:
            statement = None if args else self._read(query)
            instead = await self._of_asyncpg(connection, statement)
            if instead is None or statement is None:
                return str(await execute(connection, query, *args, **options))
            try:
                await execute(connection, instead.text, **options)
            except Exception:  # noqa: BLE001 - the statement itself will say it
                instead.failed()
                return str(await execute(connection, query, **options))
            instead.done()
            return statement.status

        get_statement = vars(module.Connection)["_get_statement"]

        @functools.wraps(get_statement)
        async def asked(connection: Any, query: str, *args: Any, **options: Any) -> Any:
            self._read(query)  # all other statements pass here, which may look
            return await get_statement(connection, query, *args, **options)

        self._replace(module.Connection, "execute", replaced)
        self._replace(module.Connection, "_get_statement", asked)

    def meet_asyncpg_of_sqlalchemy(self, module: ModuleType) -> None:
        """What SQLAlchemy's cursors do with a statement: they prepare it, and keep it so."""
        kind = module.AsyncAdapt_asyncpg_cursor
        prepare_and_execute = vars(kind)["_prepare_and_execute"]

        @functools.wraps(prepare_and_execute)
        async def replaced(cursor: Any, operation: str, parameters: Any) -> Any:
            statement = None if parameters else self._read(operation)
            adapted = cursor._adapt_connection
            if statement is None or adapted.isolation_level != "autocommit":
                return await prepare_and_execute(cursor, operation, parameters)
            instead = await self._of_asyncpg(cursor._connection, statement)
            if instead is None:
                return await prepare_and_execute(cursor, operation, parameters)
            try:
                result = await prepare_and_execute(cursor, instead.text, parameters)
            except Exception:  # noqa: BLE001 - the statement itself will say it
                instead.failed()
                return await prepare_and_execute(cursor, operation, parameters)
            instead.done()
            return result

        self._replace(kind, "_prepare_and_execute", replaced)

    async def _of_asyncpg(self, connection: Any, statement: Create | Drop | None) -> Instead | None:
        if statement is None or connection.is_in_transaction():
            return None
        import asyncio

        try:
            facts = _facts(await connection.fetchrow(statement.question))
            for _ in range(_ATTEMPTS):
                if facts is None or not facts.is_used:
                    break
                await asyncio.sleep(_PAUSE_S)
                facts = _facts(await connection.fetchrow(statement.question))
        except Exception:  # noqa: BLE001 - no PostgreSQL, or the session cannot be asked now
            return None
        if facts is None:
            return None
        place, parameters = connection._addr, connection._params
        if isinstance(place, str):
            path = PurePosixPath(place)
            place = (str(path.parent), path.name.rpartition(".")[2])
        where = _address(place[0], place[1], parameters.user, parameters.password)
        return self._whole().instead(statement, facts, where)

    def meet_psycopg2(self, module: ModuleType) -> None:
        """`psycopg2.connect`: its cursors cannot be changed, so connections make others."""
        connect = module.connect

        @functools.cache
        def made() -> Classes:
            from pytest_slipstream.databases.memoising.whole.psycopg2 import classes

            return classes(self.of_psycopg2)

        @functools.wraps(connect)
        def replaced(
            dsn: Any = None,
            connection_factory: Any = None,
            cursor_factory: Any = None,
            **kwargs: Any,
        ) -> Any:
            from psycopg2 import extensions

            wanted = connection_factory or extensions.connection
            if isinstance(wanted, type) and not (kwargs.get("async") or kwargs.get("async_")):
                connection_factory = made().connection(wanted)
            return connect(dsn, connection_factory, cursor_factory, **kwargs)

        self._replace(module, "connect", replaced)

    def of_psycopg2(self, connection: Any, query: Any, params: Any, ask: Ask) -> Instead | None:
        """What a cursor of psycopg2 sends in the place of a statement.

        Args:
            connection: The cursor's.
            query: Its statement.
            params: The statement's parameters.
            ask: Sends a query over the connection, and returns its row.
        """
        text = query if isinstance(query, (str, bytes)) else query.as_string(connection)
        text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        statement = None if params else self._read(text)
        if statement is None or _is_slipstreams(connection) or not connection.autocommit:
            return None
        if connection.info.transaction_status != _IDLE:
            return None
        try:
            return self._asked(statement, lambda: ask(statement.question), connection.info)
        except connection.Error:  # no PostgreSQL
            return None

    def _read(self, text: object) -> Create | Drop | None:
        if not isinstance(text, str) or not concerns(text):
            return None
        return self._whole().read(text)

    def take_down(self) -> None:
        """Put everything back."""
        while self._undo:
            self._undo.pop()()

    def _replace(self, holder: Any, name: str, replacement: Any) -> None:
        original = vars(holder)[name]
        setattr(holder, name, replacement)
        self._undo.append(lambda: setattr(holder, name, original))


def _is_slipstreams(connection: Any) -> bool:
    """Whether slipstream made it, or routes it: then it is not what it looks like."""
    own = type(connection).__module__.startswith(_OWN)
    return own or getattr(connection, "entrance", None) is not None


def _text(query: Any, connection: Any) -> object:
    """A statement as text, as far as psycopg has such."""
    if isinstance(query, bytes):
        return query.decode("utf-8", "replace")
    return query.as_string(connection) if hasattr(query, "as_string") else query


def _facts(row: Sequence[Any] | None) -> Facts | None:
    from pytest_slipstream.databases.memoising.whole.statements import Facts

    return None if row is None else Facts(*row)


def _value(value: bytes | None, kind: str) -> Any:
    if value is None or kind == "text":
        return None if value is None else value.decode()
    return int(value) if kind == "int" else value == b"t"


def _address(host: str | None, port: Any, user: str, password: str | None) -> Address:
    from pytest_slipstream.databases.engines.protocol import Address

    return Address(
        engine="postgresql",
        database="",
        host=host or "",
        port=int(port or 0),
        user=user,
        password=password or "",
    )
