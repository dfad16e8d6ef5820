"""The roles and databases of a server that stands in for another, as a new installation has them.

As in the products' container images, the first role may do everything. The invariant: nothing is
made that is there, and nothing is changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec

from pytest_slipstream.databases.embedding.targets import Target
from pytest_slipstream.databases.engines.postgresql.sessions import (
    Session,
    Sessions,
    identifier,
    literal,
)
from pytest_slipstream.databases.engines.protocol import Address

_EVERYTHING = ("postgres", "root")
"""Roles that may do everything wherever they exist."""
_HAS_ROLE = "SELECT FROM pg_roles WHERE rolname = $1"
_HAS_DATABASE = "SELECT FROM pg_database WHERE datname = $1"
_HOSTS = "SELECT Host FROM mysql.user WHERE User = %s"
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
_STRATEGIES = 150000
_BY_PASSWORD = ("local all all scram-sha-256", "host all all 127.0.0.1/32 scram-sha-256")


class Accounts(Protocol):
    """Of one product's server."""

    def provide(self, target: Target, *, is_first: bool, role: bool, database: bool) -> list[str]:
        """Make what a connection asks for and is not there.

        Args:
            target: What it asks for.
            is_first: Whether the server has no role but slipstream's.
            role: Whether the role may be made.
            database: Whether the database may be made.

        Returns:
            What was made, for people.
        """


def accounts(address: Address, client_library: Path | None) -> Accounts:
    """Those of a server.

    Args:
        address: Its maintenance database, by TCP and by socket.
        client_library: See `Product.client_library`.
    """
    if address.engine == "mysql":
        return MysqlAccounts(msgspec.structs.replace(address, host="", password=""))
    local = msgspec.structs.replace(address, host=address.socket_dir)
    return PostgresqlAccounts(local, client_library)


class PostgresqlAccounts:
    """Roles that can log in; a database belongs to the role that asks for it first."""

    def __init__(self, address: Address, client_library: Path | None) -> None:
        self._address = address
        self._client_library = client_library

    def provide(self, target: Target, *, is_first: bool, role: bool, database: bool) -> list[str]:
        """See `Accounts`."""
        session = Sessions(self._client_library).administer(self._address)
        try:
            made = self._role(session, target, is_first) if role else []
            has_role = session.execute(_HAS_ROLE, target.user)
            if has_role and database and not session.execute(_HAS_DATABASE, target.database):
                strategy = "STRATEGY FILE_COPY" if session.server_version >= _STRATEGIES else ""
                session.execute(
                    f"CREATE DATABASE {identifier(target.database)} "
                    f"OWNER {identifier(target.user)} {strategy}"
                )
                made.append(f"database {target.database}")
        finally:
            session.close()
        return made

    def _role(self, session: Session, target: Target, is_first: bool) -> list[str]:
        if session.execute(_HAS_ROLE, target.user):
            return []
        rights = "LOGIN"
        if is_first or target.user in _EVERYTHING:
            rights += " SUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS"
        if target.password:
            rights += f" PASSWORD {literal(target.password)}"
        session.execute(f"CREATE ROLE {identifier(target.user)} {rights}")
        if is_first and target.password:
            self._check_passwords(session)
        return [f"role {target.user}"]

    def _check_passwords(self, session: Session) -> None:
        """From now on roles give their passwords on the socket, too; slipstream's own does not."""
        lines = (f"local all {self._address.user} trust", *_BY_PASSWORD)
        listed = ", ".join(map(literal, lines))
        # The server writes the file, which may belong to another user than this process's.
        ((path,),) = session.execute("SHOW hba_file")
        session.execute(f"COPY (SELECT unnest(ARRAY[{listed}])) TO {literal(str(path))}")
        session.execute("SELECT pg_reload_conf()")


class MysqlAccounts:
    """Users of any host, with all rights on the databases that they ask for."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def provide(self, target: Target, *, is_first: bool, role: bool, database: bool) -> list[str]:
        """See `Accounts`."""
        from pytest_slipstream.databases.engines.mysql import sessions

        session = sessions.Session(self._address)
        who = f"{sessions.literal(target.user)}@'%'"
        made = []
        try:
            hosts = {str(host) for (host,) in session.rows(_HOSTS, target.user)}
            if role and (not hosts or (target.user == "root" and "%" not in hosts)):
                password = sessions.literal(target.password)
                # The root of the installation has none, and goes before the one of any host.
                for host in hosts & _LOOPBACK:
                    session.run([f"ALTER USER root@'{host}' IDENTIFIED BY {password}"])
                session.run([f"CREATE USER {who} IDENTIFIED BY {password}"])
                if is_first or target.user in _EVERYTHING:
                    session.run([f"GRANT ALL PRIVILEGES ON *.* TO {who} WITH GRANT OPTION"])
                made.append(f"user {target.user}")
            names = {str(name) for (name,) in session.rows("SHOW DATABASES")}
            may_make = database and target.database not in {"", *names}
            if may_make and (hosts or made):
                name = sessions.quoted(target.database)
                one = name.replace("_", "\\_")  # else it stands for any character, in a GRANT
                session.run(
                    [f"CREATE DATABASE {name}", f"GRANT ALL PRIVILEGES ON {one}.* TO {who}"]
                )
                made.append(f"database {target.database}")
        finally:
            session.close()
        return made
