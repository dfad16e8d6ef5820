"""What asyncmy's and aiomysql's connections have in common while they join the test's.

Both are made after PyMySQL: a connection writes a command to its stream and reads the answer. A
joined connection does so on the test's stream. The invariant: between two commands nobody's command
is half done there, and each connection has its own stream back when it is closed.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Hashable
from functools import wraps
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_slipstream.databases.routing import statements
from pytest_slipstream.databases.routing.drivers import Patch
from pytest_slipstream.databases.routing.drivers.mysql_stream import Stream
from pytest_slipstream.databases.routing.physical import TestConnection
from pytest_slipstream.databases.routing.statements import Kind
from pytest_slipstream.databases.routing.uncontained import Uncontained

if TYPE_CHECKING:
    from pytest_slipstream.databases.routing.door import Door
    from pytest_slipstream.databases.routing.entrance import Entrance

_COM_INIT_DB, _COM_QUERY, _COM_PING = 0x02, 0x03, 0x0E
_SESSION = (
    *("host", "port", "user", "unix_socket", "db", "database"),
    *("charset", "sql_mode", "init_command", "client_flag"),
)
"""The arguments by which sessions differ."""
_LOGIN = ("password", "ssl")


class JoinedAsync:
    """Mixed in before the driver's own class of connections."""

    STREAM: ClassVar[tuple[str, ...]]
    """The attributes that hold the stream, the transport's last."""

    entrance: Entrance | None = None
    autocommit_mode: bool | None
    _task: asyncio.Task[Any] | None = None
    _stream: Stream | None = None
    _own: tuple[Any, ...] | None = None
    _test: TestConnection | None = None
    _result: Any

    def stand_at(
        self, entrance: Entrance, parameters: Hashable, open_one: Callable[[], Awaitable[Any]]
    ) -> None:
        """From now on it can join."""
        self._open_one, self._parameters = open_one, parameters
        self._stmt_cache_size = 0  # asyncmy's: a prepared statement belongs to one session
        self.entrance = entrance

    # Where a command goes

    _written = False

    async def _join(self) -> TestConnection | None:
        """The test's connection, whose stream this one holds from now on; or its own stream."""
        while (test := await self._find()) is not None:
            stream = _stream_of(test)
            self._refuse_to_wait_for_itself(stream)
            await stream.take(self)
            if self.entrance is not None and self.entrance.joining.current is test:
                self._stream, self._test, self._task = stream, test, asyncio.current_task()
                if self._own is None:
                    self._own = tuple(getattr(self, name) for name in self.STREAM)
                for name in self.STREAM:
                    setattr(self, name, getattr(stream.connection, name))
                return test
            stream.leave()  # the turn ended meanwhile
        self._go_home()
        return None

    async def _find(self) -> TestConnection | None:
        assert self.entrance is not None
        joining = self.entrance.joining
        if not joining.active:
            return None
        if self._own is None and super().get_transaction_status():  # type: ignore[misc]
            joining.give_up("it uses a connection that a wider fixture left in a transaction")
            return None
        key = (type(self), self._parameters, asyncio.get_running_loop())
        test = joining.find(key)
        if test is not None and _stream_of(test).broken:
            joining.give_up(_stream_of(test).broken)
        if test is None and joining.active:
            test = joining.kept(key)
            if test is None:
                connection = await self._open_one()
                test = TestConnection(key, Stream(connection, self.STREAM[-1]), joining.engine)
                if joining.current is not None:  # opened by another task meanwhile
                    connection.close()
                    return await self._find()
            if _stream_of(test).is_encrypted:
                joining.give_up("its connections are encrypted (TLS)")
                return None
            _stream_of(test).run(("BEGIN",))
            joining.adopt(test)
        return test if joining.active else None

    def _refuse_to_wait_for_itself(self, stream: Stream) -> None:
        holder = stream.holder
        if holder is None or holder is self or self.entrance is None:
            return
        result = holder._result
        reads = not holder._written and result is not None
        if reads or holder._task is asyncio.current_task():
            self.entrance.joining.give_up("it uses a connection while another one reads its rows")

    def _go_home(self) -> None:
        """Back to its own stream."""
        own, self._own = self._own, None
        self._test = self._stream = None
        if own is not None:
            for name, value in zip(self.STREAM, own, strict=True):
                setattr(self, name, value)

    def _leave(self) -> None:
        """The answer is read."""
        self._written = False
        if self._stream is not None and self._stream.holder is self:
            self._stream.leave()

    @property
    def _is_open(self) -> bool:
        """Whether the application is in a transaction on the test's connection."""
        return self._test is not None and self._test.transactions.is_open(self)

    def _is_joined(self) -> bool:
        return self.entrance is not None and self.entrance.joining.active

    # What the drivers' connections have

    async def _execute_command(self, command: int, sql: Any) -> None:
        own: Any = super()
        if self.entrance is None:
            await own._execute_command(command, sql)
            return
        test = await self._join()
        try:
            if test is not None and command == _COM_QUERY:
                sql = await self._prepared(test, sql)
            elif test is not None and command != _COM_PING:
                raise Uncontained("it uses a command of the protocol that a session keeps")
            elif test is None and own.get_autocommit() != (self.autocommit_mode is not False):
                await own._execute_command(
                    _COM_QUERY, f"SET autocommit = {int(self.autocommit_mode is not False)}"
                )
                await own._read_ok_packet()
            self._written = True
            await own._execute_command(command, sql)
        except Uncontained as why:
            self._leave()
            self.entrance.joining.give_up(why.reason)
            await self._execute_command(command, sql)
        except BaseException:
            self._leave()
            raise

    async def _prepared(self, test: TestConnection, sql: Any) -> Any:
        """Send what comes before a statement; what to send in its place."""
        own: Any = super()
        text = sql if isinstance(sql, str) else bytes(sql).decode(errors="surrogateescape")
        if _is_autocommit(text) is not None:
            self.autocommit_mode = _is_autocommit(text)
            text = "COMMIT"
        elif statements.read(text, "mysql").kind is Kind.BEGIN and self._is_open:
            for each in test.plan(self, "COMMIT").texts:  # as the server does
                await own._execute_command(_COM_QUERY, each)
                await own._read_ok_packet()
        plan = test.plan(self, text, autocommit=self.autocommit_mode is not False)
        for each in plan.before:
            await own._execute_command(_COM_QUERY, each)
            await own._read_ok_packet()
        return sql if plan.sql == text and text != "COMMIT" else plan.sql

    async def _read_ok_packet(self) -> Any:
        own: Any = super()
        try:
            return await own._read_ok_packet()
        finally:
            self._leave()

    async def _read_query_result(self, unbuffered: bool = False) -> None:
        own: Any = super()
        self._result = None
        try:
            await own._read_query_result(unbuffered=unbuffered)
        finally:
            self._written = False
            result = self._result
            if result is None or not (result.unbuffered_active or result.has_next):
                self._leave()

    def get_transaction_status(self) -> bool:
        """Whether the application is in a transaction."""
        own: Any = super()
        return self._is_open if self._own is not None else bool(own.get_transaction_status())

    def get_autocommit(self) -> bool:
        """The application's mode."""
        own: Any = super()
        if self._is_joined():
            return self.autocommit_mode is not False
        return bool(own.get_autocommit())

    async def autocommit(self, value: Any) -> None:
        """Set the mode; what is open is committed when it is set."""
        own: Any = super()
        if not self._is_joined():
            await own.autocommit(value)
            return
        if value and self._is_open:
            await own.commit()
        self.autocommit_mode = bool(value)

    def _close_on_cancel(self) -> None:
        own: Any = super()
        if self._stream is not None:
            self._stream.broken = "a statement on the test's connection was cancelled"
            self._leave()
        self._undo()
        own._close_on_cancel()

    def close(self) -> None:
        """Close its own stream; what it has not committed is undone."""
        own: Any = super()
        try:
            self._undo()
        finally:
            own.close()

    async def ensure_closed(self) -> None:
        """The same, and wait until it is done."""
        own: Any = super()
        try:
            self._undo()
        finally:
            entrance, self.entrance = self.entrance, None  # the farewell is for its own session
            try:
                await own.ensure_closed()
            finally:
                self.entrance = entrance

    def _undo(self) -> None:
        test, stream = self._test, self._stream
        self._leave()
        try:
            if test is not None and stream is not None and self._is_open and not stream.broken:
                stream.run(test.plan(self, "ROLLBACK").texts)
        except Uncontained as why:
            assert self.entrance is not None
            self.entrance.joining.give_up(why.reason)
        finally:
            self._go_home()


def _is_autocommit(text: str) -> bool | None:
    """The mode that a statement sets, if it sets one."""
    words = text.lower().replace("=", " ").split()
    if words[:2] in (["set", "autocommit"], ["set", "@@autocommit"]) and len(words) == 3:
        return words[2].strip(";") in ("1", "on", "true")
    return None


def _stream_of(test: TestConnection) -> Stream:
    physical: Any = test.physical
    assert isinstance(physical, Stream)
    return physical


def _leading_to(entrance: Entrance, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a connect call, naming the slot."""
    if not entrance.renamed:
        return arguments
    name = "db" if "db" in arguments else "database"
    return {**arguments, name: entrance.address.database}


def patches(module: ModuleType, door: Door, stream: tuple[str, ...], establish: str) -> list[Patch]:
    """Replace a driver's ``connect``, under its three names.

    Args:
        module: The driver.
        door: The door.
        stream: The attributes of its connections that hold the stream.
        establish: The method of its connections that opens the stream.
    """
    original, own_class = module.connection.connect, module.connection.Connection
    manager = module.connection._ConnectionContextManager
    joined = type("Connection", (JoinedAsync, own_class), {"STREAM": stream})

    async def open_at(entrance: Entrance, arguments: dict[str, Any]) -> Any:
        if not entrance.joins:
            connection = await original(**arguments)
        else:
            connection = joined(**arguments)
            await getattr(connection, establish)()
            session = {name: arguments[name] for name in _SESSION if name in arguments}
            login = {name: arguments[name] for name in _LOGIN if name in arguments}
            parameters = tuple(sorted(session.items()))
            connection.stand_at(entrance, parameters, lambda: original(**session, **login))
        entrance.opened(connection)
        entrance.given(connection)
        return connection

    @wraps(original)
    def connect(*args: Any, **kwargs: Any) -> Any:
        try:
            arguments = inspect.signature(original).bind(*args, **kwargs).arguments
        except TypeError:  # the call itself says it better
            return original(*args, **kwargs)
        entrance = door.to_server(arguments.get("db") or arguments.get("database"))
        if entrance is None:
            return original(*args, **kwargs)
        return manager(open_at(entrance, _leading_to(entrance, arguments)))

    holders = (module, module.connection, module.pool)
    return [Patch(holder, "connect", connect) for holder in holders]
