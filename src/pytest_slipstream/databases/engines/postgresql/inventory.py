"""What slipstream has on one PostgreSQL server; see `databases.holdings`."""

from __future__ import annotations

from pytest_slipstream.databases import naming
from pytest_slipstream.databases.engines.postgresql.administration import Administration
from pytest_slipstream.databases.engines.postgresql.engine import read_remark
from pytest_slipstream.databases.engines.postgresql.sessions import SessionError, Sessions
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.holdings import Holding, Reached, kind_of, refuse_alive
from pytest_slipstream.errors import ServerError, SlipstreamError

_ALL = """
SELECT datname, pg_database_size(oid), shobj_description(oid, 'pg_database')
FROM pg_database WHERE starts_with(datname, $1) ORDER BY datname
"""


class PostgresqlStock:
    """The databases of one server.

    Args:
        title: The server, for people.
        server: The server, which somebody else opens and closes.
    """

    def __init__(self, title: str, server: Reached) -> None:
        self.title = title
        self._server = server
        try:
            self._administration = Administration(
                server.address(server.maintenance_database), self._gone, Sessions(None)
            )
        except SessionError as error:
            raise ServerError(f"{title} cannot be reached: {error}") from error

    def _gone(self) -> None:
        raise ServerError(f"{self.title} went away while it was looked at")

    def holdings(self) -> list[Holding]:
        """All databases with slipstream's prefix."""
        found = []
        for name, size, comment in self._administration.execute(_ALL, naming.PREFIX):
            remark = read_remark(comment)
            found.append(
                Holding(
                    kind=kind_of(str(name)),
                    name=str(name),
                    address=self._server.address(str(name)),
                    size_bytes=int(str(size)),
                    alive=self._is_alive(str(name)),
                    database=remark.database if remark else "",
                    fingerprint=remark.fingerprint if remark else "",
                    used_at=remark.used_at if remark else 0.0,
                )
            )
        return found

    def _is_alive(self, name: str) -> bool:
        slot = naming.parse_slot_name(name)
        if slot is not None:
            lock = "owner", slot.owner
        elif kind_of(name) == "template":
            lock = "use", name
        elif kind_of(name) == "build":
            lock = "build", naming.template_of(name)
        else:
            return False
        with self._administration.lock_at_once(*lock) as free:
            return not free

    def drop(self, holding: Holding) -> None:
        """Drop a database that nobody uses."""
        refuse_alive(holding)
        self._administration.drop(holding.name)

    def keep(self, holding: Holding, name: str) -> Address:
        """Rename a slot that a dead run left."""
        if holding.alive:
            raise SlipstreamError(
                f"{holding.name} is in use by a run that is still going on, and PostgreSQL copies "
                "no database with open connections",
                hint="start the run with `--slipstream-keep`: it keeps the databases of its "
                "failed tests; `slipstream db shell` opens this one as it is now",
            )
        if self._administration.exists(name):
            raise SlipstreamError(f"there is a database {name!r} already")
        self._administration.shut(holding.name)
        self._administration.rename(holding.name, name)
        self._administration.reopen(name)
        return self._server.address(name)

    def prune(self) -> list[str]:
        """Drop what dead runs left."""
        before = set(self._administration.names())
        self._administration.sweep("")
        return sorted(before - set(self._administration.names()))

    def close(self) -> None:
        """Close the connection."""
        self._administration.close()
