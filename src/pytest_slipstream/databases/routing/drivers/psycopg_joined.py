"""What psycopg's connections, sync and async, have in common while they join the test's.

An application's connection is a real one, of the class that it asked for and with a session of its
own. While it carries out an operation, that is, holds its lock, and is joined, ``pgconn`` is the
test's. The invariant: the commands that psycopg itself sends to begin and end transactions and
savepoints become what `Transactions` makes of them; the rest of psycopg works as it does anyway.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakKeyDictionary

import psycopg
from psycopg import pq
from psycopg._cursor_base import BaseCursor
from psycopg.sql import Composable
from psycopg.transaction import BaseTransaction

from pytest_slipstream.databases.routing import statements
from pytest_slipstream.databases.routing.drivers import Patch
from pytest_slipstream.databases.routing.physical import TestConnection
from pytest_slipstream.databases.routing.statements import Kind, Statement
from pytest_slipstream.databases.routing.transactions import Texts
from pytest_slipstream.databases.routing.uncontained import Uncontained

if TYPE_CHECKING:
    from pytest_slipstream.databases.routing.entrance import Entrance

_READ_COMMITTED = psycopg.IsolationLevel.READ_COMMITTED
_ACTIVE = pq.TransactionStatus.ACTIVE
_UNKNOWN = Statement(Kind.WRITE)
_CHECK = (
    "SAVEPOINT slipstream_check",
    "SET CONSTRAINTS ALL IMMEDIATE",
    "ROLLBACK TO SAVEPOINT slipstream_check",
    "RELEASE SAVEPOINT slipstream_check",
)
# clean.sql knows this text: a session that ended so holds no advisory lock.
END = b"ROLLBACK; SELECT pg_catalog.pg_advisory_unlock_all()"
_HAS_DEFERRABLE = b"SELECT FROM pg_constraint WHERE condeferrable LIMIT 1"
CONTROLLING = frozenset(
    (Kind.BEGIN, Kind.COMMIT, Kind.ROLLBACK, Kind.SAVEPOINT, Kind.RELEASE, Kind.ROLLBACK_TO)
)
Steps = Generator[Any, Any, Any]


class PgSession:
    """The libpq connection of the test: what does not wait for the application's event loop.

    Args:
        connection: A psycopg connection in autocommit mode, sync or async.
    """

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.pgconn: Any = connection.pgconn
        self.speaker: Any = None
        self.holder: tuple[int, Any] | None = None
        """The thread, and the task if there is one, that carries out an operation."""
        self.locks: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        """For each event loop the lock that its operations take."""
        self.defers = bool(self._run(_HAS_DEFERRABLE).ntuples)

    def _run(self, command: bytes) -> Any:
        result = self.pgconn.exec_(command)
        if result.status not in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
            raise psycopg.errors.error_from_result(result)
        return result

    def roll_back(self) -> None:
        if self.is_usable():  # nothing was sent
            return
        try:
            self._run(END)
        except psycopg.Error:
            self.close()

    def commit(self) -> None:
        try:
            self._run(b"COMMIT")
        except psycopg.Error as error:
            raise Uncontained(f"its transaction cannot be committed: {error}") from error

    def violation(self) -> str | None:
        """What a deferred constraint has to say to what was committed while others were open."""
        if not self.defers or self.pgconn.transaction_status != pq.TransactionStatus.INTRANS:
            return None
        try:
            self._run(b"SET CONSTRAINTS ALL IMMEDIATE")
        except psycopg.Error as error:
            return str(error).strip()
        return None

    def close(self) -> None:
        self.pgconn.finish()

    def is_usable(self) -> bool:
        idle: bool = self.pgconn.transaction_status == pq.TransactionStatus.IDLE
        return idle

    def is_aborted(self) -> bool:
        aborted: bool = self.pgconn.transaction_status == pq.TransactionStatus.INERROR
        return aborted


class JoinedInfo(psycopg.ConnectionInfo):
    """Tells the transaction's status as the application's connection has it."""

    def __init__(self, pgconn: Any, application: Joined) -> None:
        super().__init__(pgconn)
        self._application = application

    @property
    def transaction_status(self) -> pq.TransactionStatus:
        return self._application.status()


class Joined(psycopg._connection_base.BaseConnection[Any]):
    """The application's connection, but for what sync and async do differently."""

    # Set before psycopg's own constructor runs, and by it.
    entrance: Entrance | None = None
    parameters: Hashable = ()
    test: TestConnection | None = None
    """The test's connection during an operation that is joined."""
    settings: tuple[str, ...] = ()
    pending_settings: tuple[str, ...] = ()
    """Those in the open transaction of its own session, which has nothing else in it."""
    apart = False
    """Whether operations are kept from joining: those that concern its own session."""
    _announced: Statement = _UNKNOWN
    _own_pgconn: Any
    _own_prepared: Any

    @property
    def key(self) -> Hashable:
        """What the test's connection must be like, to take this one's place."""
        return ("psycopg", self.parameters, self.settings + self.pending_settings)

    def is_alone(self) -> bool:
        """Whether an operation is for its own session; tells `Joining` why, if it should not be.

        Raises:
            IsolationError: It is too late for that.
        """
        if self.entrance is None or self.apart or not self.entrance.joining.active:
            return True
        joining = self.entrance.joining
        if self._own_pgconn.transaction_status != pq.TransactionStatus.IDLE:
            if not self.pending_settings:
                joining.give_up("it uses a connection that a wider fixture left in a transaction")
        elif self._isolation_level not in (None, _READ_COMMITTED) or self._read_only:
            joining.give_up("it asks for an isolation level, or a read-only transaction")
        return not joining.active

    def enter(self, test: TestConnection | None) -> None:
        """An operation begins, on the test's connection or its own; the lock is held."""
        self.test = test
        if test is not None:
            connection = session(test).connection
            connection._notice_handlers = self._notice_handlers
            connection._prepared.prepare_threshold = self._own_prepared.prepare_threshold

    def leave(self) -> None:
        """The operation has ended."""
        self.test = None

    def announce(self, query: Any) -> Statement:
        """A cursor is about to run a statement; what cannot be rolled back ends the turn."""
        if self.entrance is None or not self.entrance.joining.active:
            return _UNKNOWN
        self._announced = self.read(query)
        if self._announced.kind is Kind.UNCONTAINED and not self.apart:
            self.entrance.joining.give_up(self._announced.reason)
        return self._announced

    def concerns_session(self, statement: Statement) -> bool:
        """Whether a statement is a setting of the session, made outside of a transaction."""
        current = self.entrance.joining.current if self.entrance is not None else None
        inside = current is not None and current.transactions.is_open(self)
        return statement.kind is Kind.SETTING and not inside and not self.apart

    def note_setting(self, query: Any) -> None:
        """A setting was made in its own session."""
        text = query.as_string(self) if isinstance(query, Composable) else query
        text = text if isinstance(text, str) else bytes(text).decode()
        if self._own_pgconn.transaction_status == pq.TransactionStatus.INTRANS:
            self.pending_settings += (text,)
        else:
            self.settings += (text,)

    def end_settings(self, *, keep: bool) -> None:
        """The transaction of its own session, with settings alone, was ended."""
        if keep:
            self.settings += self.pending_settings
        self.pending_settings = ()

    def read(self, query: Any) -> Statement:
        """What a statement does."""
        if isinstance(query, str):
            return statements.read(query, "postgresql")
        if isinstance(query, bytes):
            return statements.read(query.decode("utf-8", "replace"), "postgresql")
        if isinstance(query, Composable):
            return statements.read(query.as_string(self), "postgresql")
        return _UNKNOWN

    def status(self) -> pq.TransactionStatus:
        """The status of the transaction, as the application has it."""
        current = self.entrance.joining.current if self.entrance is not None else None
        if current is None or not current.transactions.is_open(self):
            return pq.TransactionStatus(self._own_pgconn.transaction_status)
        doomed = current.transactions.is_doomed(self, aborted=current.physical.is_aborted())
        return pq.TransactionStatus.INERROR if doomed else pq.TransactionStatus.INTRANS

    # What psycopg's BaseConnection has

    @property
    def pgconn(self) -> Any:
        """libpq's connection: the test's during a joined operation, else its own."""
        if self.test is not None:
            return session(self.test).pgconn
        current = self.entrance.joining.current if self.entrance is not None else None
        physical = session(current) if current is not None else None
        if not isinstance(physical, PgSession) or physical.speaker is not self:
            return self._own_pgconn
        is_copying = physical.pgconn.transaction_status == _ACTIVE
        return physical.pgconn if is_copying else self._own_pgconn

    @pgconn.setter
    def pgconn(self, value: Any) -> None:
        self._own_pgconn = value

    @property
    def _prepared(self) -> Any:
        if self.test is not None:
            return session(self.test).connection._prepared
        return self._own_prepared

    @_prepared.setter
    def _prepared(self, value: Any) -> None:
        self._own_prepared = value

    @property
    def info(self) -> psycopg.ConnectionInfo:
        """As psycopg's; with the status of the application's own transaction."""
        return JoinedInfo(self._own_pgconn, self)

    @property
    def closed(self) -> bool:
        """Whether its own session is closed."""
        closed: bool = self._own_pgconn.status == pq.ConnStatus.BAD
        return closed

    def _check_intrans_gen(self, attribute: str) -> Steps:
        if self.test is None:
            yield from super()._check_intrans_gen(attribute)
        elif self.status() != pq.TransactionStatus.IDLE:
            raise psycopg.ProgrammingError(
                f"can't change {attribute!r} now: connection in transaction status "
                f"{self.status().name}"
            )

    def _start_query(self) -> Steps:
        if self.test is None:
            yield from super()._start_query()
            return
        statement, self._announced = self._announced, _UNKNOWN
        transactions, aborted = self.test.transactions, self.test.physical.is_aborted()
        texts: Texts = ()
        if not self._autocommit and not transactions.is_open(self):
            texts = transactions.begin(self, aborted=aborted)
            aborted = False
        try:
            texts += transactions.statement(self, writes=statement.writes, aborted=aborted)
        except Uncontained as why:
            self._refuse(why)
        yield from self._send(texts)
        session(self.test).speaker = self

    def _refuse(self, why: Uncontained) -> NoReturn:
        """A transaction of this connection is open, so the turn cannot end here.

        Raises:
            IsolationError: Always.
        """
        assert self.entrance is not None
        self.entrance.joining.give_up(why.reason)
        raise AssertionError("a transaction is open, and so it was refused") from why

    def _exec_command(self, command: Any, *args: Any, **kwargs: Any) -> Steps:
        if self.test is None:
            return (yield from super()._exec_command(command, *args, **kwargs))
        statement = self.read(command)
        if statement.kind not in CONTROLLING:
            return (yield from super()._exec_command(command, *args, **kwargs))
        if statement.kind is Kind.COMMIT and session(self.test).defers:
            yield from self._check_deferred()
        text = command if isinstance(command, str) else bytes(command).decode()
        texts: Texts = ()
        if statement.kind is Kind.SAVEPOINT and not self._autocommit:
            texts = self.test.transactions.begin(self, aborted=session(self.test).is_aborted())
        try:
            if statement.kind is Kind.COMMIT:
                texts += self.test.transactions.commit(
                    self, aborted=session(self.test).is_aborted()
                )
            else:
                texts += self.test.plan(self, text).texts
        except Uncontained as why:
            self._refuse(why)
        return (yield from self._send(texts))

    def _commit_gen(self) -> Steps:
        if self.test is None or self._num_transactions or self.is_in_transaction():
            yield from super()._commit_gen()

    def _rollback_gen(self) -> Steps:
        if self.test is None or self._num_transactions or self.is_in_transaction():
            yield from super()._rollback_gen()

    def is_in_transaction(self) -> bool:
        """Whether it has a transaction on the test's connection."""
        return self.test is not None and self.test.transactions.is_open(self)

    def _check_deferred(self) -> Steps:
        """Do what the server does at a commit, if nobody else's work is in the way."""
        assert self.test is not None
        transactions = self.test.transactions
        if transactions.open != {self}:
            return
        if transactions.is_doomed(self, aborted=self.test.physical.is_aborted()):
            return
        try:
            yield from self._send(_CHECK)
        except psycopg.Error:
            yield from self._send(transactions.rollback(self, aborted=True))
            raise

    def _send(self, texts: Texts) -> Steps:
        """Send commands as they are; the last one's result."""
        result = None
        if self._pipeline is not None or len(texts) < 2:
            for text in texts:
                result = yield from super()._exec_command(text)
            return result
        self._check_connection_ok()
        self.pgconn.send_query("; ".join(texts).encode())
        results = yield from psycopg.generators.execute(self.pgconn)
        for result in results:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise psycopg.errors.error_from_result(result, encoding=self.pgconn._encoding)
        return result


def cursor_patch() -> Patch:
    """Every cursor asks a connection that can join for libpq's, each time it needs it.

    Also one that was made by calling its class, which psycopg itself does.
    """
    slot = vars(BaseCursor)["_pgconn"]

    def get(cursor: Any) -> Any:
        connection = cursor._conn
        return connection.pgconn if isinstance(connection, Joined) else slot.__get__(cursor)

    return Patch(BaseCursor, "_pgconn", property(get, slot.__set__))


class _Status:
    """libpq's connection as a transaction block looks at it: with the application's status."""

    def __init__(self, application: Joined) -> None:
        self._application = application

    def __getattr__(self, name: str) -> Any:
        return getattr(self._application.pgconn, name)

    @property
    def transaction_status(self) -> pq.TransactionStatus:
        return self._application.status()


def transaction_patch() -> Patch:
    """A transaction block is an outer one if the application is in no transaction yet."""
    original = BaseTransaction._push_savepoint

    def push(block: Any) -> None:
        if isinstance(block._conn, Joined):
            block.pgconn = _Status(block._conn)
        original(block)

    return Patch(BaseTransaction, "_push_savepoint", push)


def session(test: TestConnection) -> Any:
    """The physical connection, as this module made it."""
    return test.physical
