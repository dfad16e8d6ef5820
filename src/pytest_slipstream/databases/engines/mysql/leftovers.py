"""Sessions that a test left in a transaction: found, ended, and told.

MySQL's `performance_schema` tells of them. MariaDB's does not, so there they are read from InnoDB's
monitor, which in MySQL leaves out who has only read; `information_schema.innodb_trx` is a copy that
is renewed only when nobody has read it for 100 ms.

The invariant: when `end` returns, no transaction is open in the slot but those that may stay.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import msgspec
import pymysql

from pytest_slipstream.clock import clock
from pytest_slipstream.databases.engines.mysql.sessions import Row, Session, literal
from pytest_slipstream.databases.engines.protocol import Leftover

MONITOR = "SHOW ENGINE INNODB STATUS"
EVENTS = (
    "SELECT 'events', '', GROUP_CONCAT(processlist_id, ' ', event_id) "
    "FROM performance_schema.events_transactions_current JOIN performance_schema.threads "
    "USING (thread_id) WHERE state = 'ACTIVE' AND processlist_id IS NOT NULL"
)
_TRANSACTION = re.compile(r"^---TRANSACTION (\S+), ACTIVE", re.MULTILINE)
_THREAD = re.compile(r"^(?:MariaDB|MySQL) thread id (\d+)", re.MULTILINE)
_MAY_END_BY_ITSELF_S = {True: 0.25, False: 0.01}
_GONE_WITHIN_S = 5.0
_NO_SUCH_THREAD = 1094
_STEP = "SELECT sleep(0.002)"
_PREPARED = {"mariadb": "XA RECOVER", "mysql": "XA RECOVER CONVERT XID"}
_SESSIONS = """
SELECT id, user, host, command, coalesce(info, '') FROM information_schema.processlist
WHERE db = {database} AND id <> connection_id()
"""


class Transaction(msgspec.Struct, frozen=True):
    """An open transaction of a session in the slot. ``connection`` is the server's number."""

    connection: int
    id: str
    user: str
    host: str
    command: str
    statement: str

    @property
    def key(self) -> tuple[int, str]:
        """What it is known by, whatever its session does at the moment."""
        return self.connection, self.id

    @property
    def detail(self) -> str:
        """What it is, in words."""
        doing = self.statement and f"; it executes: {' '.join(self.statement.split())[:200]}"
        who = f"connection {self.connection}, user {self.user}@{self.host}"
        return f"{who}, {self.command.lower()}{doing}"


def active(monitor: str) -> dict[int, str]:
    """The connections with an open transaction, each with its transaction's id.

    Args:
        monitor: The text of ``SHOW ENGINE INNODB STATUS``.
    """
    found: dict[int, str] = {}
    _, *parts = _TRANSACTION.split(monitor.partition("LIST OF TRANSACTIONS")[2])
    for number, text in zip(parts[::2], parts[1::2], strict=True):
        thread = _THREAD.search(text.partition("\n---")[0])
        if thread:
            found[int(thread[1])] = number
    return found


def told(answer: Row) -> dict[int, str]:
    """The same, of the answer to `MONITOR` or `EVENTS`."""
    if answer[0] != "events":
        return active(str(answer[2]))
    lines = (line.split(" ") for line in str(answer[2] or "").split(",") if line)
    return {int(connection): event for connection, event in lines}


def open_transactions(session: Session, database: str, answer: Row) -> tuple[Transaction, ...]:
    """The transactions of sessions in a database, of the answer to `MONITOR` or `EVENTS`."""
    numbers = told(answer)
    numbers.pop(session.id, None)
    return sessions_in(session, database, numbers) if numbers else ()


def sessions_in(
    session: Session, database: str, numbers: Mapping[int, str] | None = None
) -> tuple[Transaction, ...]:
    """The sessions in a database; of those with these numbers, or all."""
    return tuple(
        Transaction(int(row[0]), numbers[row[0]] if numbers else "", *map(str, row[1:]))
        for row in session.rows(_SESSIONS.format(database=literal(database)))
        if numbers is None or row[0] in numbers
    )


def end(
    session: Session, database: str, question: str, kept: Collection[Transaction]
) -> tuple[Leftover, ...]:
    """End the transactions in the slot, after a moment in which they may end by themselves.

    Args:
        session: Ends them.
        database: The slot.
        question: `MONITOR` or `EVENTS`.
        kept: Those that may stay.
    """
    start = clock.seconds()
    known = {one.key for one in kept}

    def found() -> tuple[Transaction, ...]:
        open_now = open_transactions(session, database, session.rows(question)[0])
        return tuple(one for one in open_now if one.key not in known)

    open_now = found()
    while open_now:
        works = any(one.command != "Sleep" for one in open_now)
        if clock.seconds() - start > _MAY_END_BY_ITSELF_S[works]:
            return kill(session, database, open_now, "transaction")
        session.rows(_STEP)
        open_now = found()
    return ()


def end_holders(session: Session, database: str) -> tuple[Leftover, ...]:
    """End whatever may hold a lock in a database: its sessions, and prepared XA transactions.

    Those belong to no database. One that a live session still holds is not rolled back by another.
    """
    ended = kill(session, database, sessions_in(session, database), "lock")
    for number, length, _, data in session.rows(_PREPARED[session.flavour]):
        name = bytes(data) if session.flavour == "mariadb" else bytes.fromhex(data[2:])
        parts = ", ".join(f"X'{part.hex()}'" for part in (name[:length], name[length:]))
        try:
            session.rows(f"XA ROLLBACK {parts}, {number}")
        except pymysql.err.MySQLError:
            continue  # its session lives
        ended += (
            Leftover(kind="transaction", detail=f"prepared as {name.decode(errors='replace')!r}"),
        )
    return ended


def kill(
    session: Session, database: str, ended: Collection[Transaction], kind: str
) -> tuple[Leftover, ...]:
    """End sessions in a database and see them gone, with all their locks."""
    for one in ended:
        try:
            session.rows(f"KILL CONNECTION {one.connection}")
        except pymysql.err.MySQLError as error:
            if error.args[0] != _NO_SUCH_THREAD:
                raise
    numbers = {one.connection for one in ended}
    deadline = clock.seconds() + _GONE_WITHIN_S
    while clock.seconds() < deadline:
        if not numbers & {one.connection for one in sessions_in(session, database)}:
            break
        session.rows(_STEP)
    return tuple(Leftover(kind=kind, detail=one.detail) for one in ended)
