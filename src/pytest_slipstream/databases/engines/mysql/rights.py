"""What the account may do on a server that the user runs.

The invariant: a missing right is named in the server's own words, with the GRANT that gives it.
"""

from __future__ import annotations

import pymysql

from pytest_slipstream.databases import naming
from pytest_slipstream.databases.engines.mysql import sessions
from pytest_slipstream.databases.engines.mysql.sessions import Session
from pytest_slipstream.errors import ServerError

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


def missing_for_reset(session: Session) -> str | None:
    """Why `reset` cannot be had, or None."""
    try:
        session.rows("SELECT 1 FROM information_schema.innodb_trx LIMIT 1")
    except pymysql.err.MySQLError as error:
        return (
            f"the account {account_of(session)} lacks the right PROCESS, without which open "
            f"transactions cannot be seen ({sessions.text(error)})"
        )
    variable = "userstat" if session.flavour == "mariadb" else "performance_schema"
    ((is_on,),) = session.rows(f"SELECT @@global.{variable}")
    if is_on:
        return None
    if session.flavour == "mariadb":
        try:
            session.run(["SET GLOBAL userstat = ON"])
        except pymysql.err.MySQLError as error:
            return f"the server does not count writes (userstat = OFF; {sessions.text(error)})"
        return None
    return "the server does not count writes (performance_schema = OFF)"


def account_of(session: Session) -> str:
    """The account, as GRANT wants it."""
    user, _, host = str(session.rows("SELECT current_user()")[0][0]).rpartition("@")
    return f"'{user}'@'{host}'"
