"""What the account may do on a server that the user runs.

The invariant: a missing right is named in the server's own words, with the GRANT that gives it.
"""

from __future__ import annotations

import msgspec
import pymysql

from pytest_slipstream.databases import naming
from pytest_slipstream.databases.engines.mysql import sessions
from pytest_slipstream.databases.engines.mysql.leftovers import STATUS
from pytest_slipstream.databases.engines.mysql.sessions import Session
from pytest_slipstream.errors import ServerError


class Rights(msgspec.Struct, frozen=True):
    """``unseen``: why open transactions cannot be seen, or None. ``counts``: the server does."""

    unseen: str | None
    counts: bool


_PROBE = f"{naming.PREFIX}probe"


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
    """What the account may see; switches the counters on where it may."""
    return Rights(_unseen(session), _counts(session))


def _unseen(session: Session) -> str | None:
    try:
        session.rows(STATUS)
    except pymysql.err.MySQLError as error:
        return (
            f"the account {account_of(session)} lacks the right PROCESS, without which open "
            f"transactions cannot be seen ({sessions.text(error)})"
        )
    return None


def _counts(session: Session) -> bool:
    variable = "userstat" if session.flavour == "mariadb" else "performance_schema"
    if session.rows(f"SELECT @@global.{variable}")[0][0]:
        return True
    try:
        session.run([f"SET GLOBAL {variable} = ON"])
    except pymysql.err.MySQLError:
        return False  # The right is missing, or it can be switched on at the start only.
    return True


def account_of(session: Session) -> str:
    """The account, as GRANT wants it."""
    user, _, host = str(session.rows("SELECT current_user()")[0][0]).rpartition("@")
    return f"'{user}'@'{host}'"
