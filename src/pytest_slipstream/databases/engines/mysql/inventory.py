"""What slipstream has on one MySQL or MariaDB server; see `databases.holdings`."""

from __future__ import annotations

import pymysql

from pytest_slipstream.databases import naming
from pytest_slipstream.databases.engines.mysql import copying, sessions
from pytest_slipstream.databases.engines.mysql.administration import Administration
from pytest_slipstream.databases.engines.mysql.sessions import REGISTRY
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.holdings import Holding, Reached, kind_of, refuse_alive
from pytest_slipstream.errors import ServerError, SlipstreamError


class MysqlStock:
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
                server.address(server.maintenance_database), self._gone
            )
            self._used = self._administration.exists(REGISTRY)
        except pymysql.err.MySQLError as error:
            raise ServerError(f"{title} cannot be reached: {sessions.text(error)}") from error

    def _gone(self) -> None:
        raise ServerError(f"{self.title} went away while it was looked at")

    def holdings(self) -> list[Holding]:
        """All databases with slipstream's prefix; where there is no registry, there are none."""
        if not self._used:
            return []
        registered = {one.name: one for one in self._administration.published()}
        sizes = self._administration.sizes()
        found = []
        for name in sorted(self._administration.names()):
            template = registered.get(name)
            found.append(
                Holding(
                    kind=kind_of(name),
                    name=name,
                    address=self._server.address(name),
                    size_bytes=sizes.get(name, 0),
                    alive=self._is_alive(name),
                    database=template.database if template else "",
                    fingerprint=template.fingerprint if template else "",
                    used_at=template.used_at if template else 0.0,
                )
            )
        return found

    def _is_alive(self, name: str) -> bool:
        slot = naming.parse_slot_name(name)
        if slot is not None:
            return self._administration.is_claimed(slot.owner)
        if kind_of(name) == "build":
            return self._administration.is_locked(naming.template_of(name))
        return kind_of(name) == "template" and self._administration.is_claimed(name)

    def drop(self, holding: Holding) -> None:
        """Drop a database that nobody uses."""
        refuse_alive(holding)
        if holding.kind == "template" and self._administration.drop_template(holding.name):
            return
        self._administration.drop(holding.name)

    def keep(self, holding: Holding, name: str) -> Address:
        """Copy a slot as it is now; what is not committed is left out."""
        if self._administration.exists(name):
            raise SlipstreamError(f"there is a database {name!r} already")
        session = self._administration.session
        copying.copy(session, holding.name, name)
        if not holding.alive:
            self._administration.drop(holding.name)
        return self._server.address(name)

    def prune(self) -> list[str]:
        """Drop what dead runs left."""
        if not self._used:
            return []
        before = set(self._administration.names())
        self._administration.sweep("")
        return sorted(before - set(self._administration.names()))

    def close(self) -> None:
        """Close the session."""
        self._administration.close()
