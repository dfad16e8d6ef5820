"""What the account may do on a server that the user runs.

The invariant: a missing right is named in the server's own words, with the GRANT that gives it.
"""

from __future__ import annotations

import msgspec
import pymysql

from pytest_slipstream.databases import naming
from pytest_slipstream.databases.engines.mysql import leftovers, sessions
from pytest_slipstream.databases.engines.mysql.sessions import REGISTRY, Session
from pytest_slipstream.errors import ServerError


class Rights(msgspec.Struct, frozen=True):
    """What can be seen.

    ``unseen``: why open transactions cannot be, or None. ``counts``: the server counts writes.
    ``question``: what tells of open transactions, of `leftovers`.
    """

    unseen: str | None
    counts: bool
    question: str = leftovers.MONITOR


_PROBE = f"{naming.PREFIX}probe"
_WRITES = (
    "SELECT coalesce(sum(count_write), 0) FROM performance_schema.table_io_waits_summary_by_table "
    f"WHERE object_schema = '{REGISTRY}' AND object_name = 'claims'"
)
_TRIED = (
    _WRITES,
    f"INSERT INTO {REGISTRY}.claims VALUES ('probe', connection_id())",
    f"DELETE FROM {REGISTRY}.claims WHERE what = 'probe' AND life = connection_id()",
    _WRITES,
    "START TRANSACTION",
    f"SELECT count(*) FROM {REGISTRY}.claims",
    leftovers.EVENTS,
)


def require_databases(session: Session) -> None:
    """See that databases with slipstream's prefix can be made and dropped.

    Raises:
        ServerError: They cannot.
    """
    try:
        session.run(
            [f"CREATE DATABASE IF NOT EXISTS {_PROBE}", f"DROP DATABASE IF EXISTS {_PROBE}"]
        )
    except pymysql.err.MySQLError as error:
        account = account_of(session)
        raise ServerError(
            f"the account {account} may not create databases: {sessions.text(error)}",
            hint=f"as an administrator: GRANT ALL PRIVILEGES ON `{naming.PREFIX[:-1]}\\_%`.* "
            f"TO {account}; GRANT PROCESS ON *.* TO {account}",
        ) from error


def rights_of(session: Session) -> Rights:
    """What the account may see, where the registry is; switches counters on where it may."""
    if session.flavour == "mariadb":
        return Rights(_unseen(session), _counts(session))
    counts = _tells(session)
    question = leftovers.EVENTS if counts else leftovers.MONITOR
    return Rights(_unseen(session), counts, question)


def _unseen(session: Session) -> str | None:
    try:
        session.rows(leftovers.MONITOR)
    except pymysql.err.MySQLError as error:
        return (
            f"the account {account_of(session)} lacks the right PROCESS, without which open "
            f"transactions cannot be seen ({sessions.text(error)})"
        )
    return None


def _counts(session: Session) -> bool:
    if session.rows("SELECT @@global.userstat")[0][0]:
        return True
    try:
        session.run(["SET GLOBAL userstat = ON"])
    except pymysql.err.MySQLError:
        return False  # The right is missing.
    return True


def _tells(session: Session) -> bool:
    """Whether `performance_schema` tells of writes and transactions, which much can switch off."""
    try:
        answers = [rows[0] for _, rows in session.results(_TRIED) if rows]
    except pymysql.err.MySQLError:
        return False  # The right is missing.
    finally:
        session.run(["ROLLBACK"])
    before, after, _, transactions = answers
    return bool(after[0] > before[0]) and session.id in leftovers.told(transactions)


def account_of(session: Session) -> str:
    """The account, as GRANT wants it."""
    user, _, host = str(session.rows("SELECT current_user()")[0][0]).rpartition("@")
    return f"'{user}'@'{host}'"
