"""The MySQL engine of one configured database: its server, its templates, its slots.

The invariant: nothing is imported, started or connected before `MysqlEngine.open`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_slipstream.databases import naming, servers
from pytest_slipstream.databases.engines.protocol import (
    Address,
    Owner,
    Progress,
    ServerInfo,
    Slot,
    TemplateInfo,
    unmakeable,
)
from pytest_slipstream.databases.servers.mysql_binaries import too_old
from pytest_slipstream.databases.servers.mysql_driver import pymysql_module
from pytest_slipstream.errors import ServerError, TemplateError
from pytest_slipstream.settings import DatabaseSettings

if TYPE_CHECKING:
    from pytest_slipstream.databases.engines.mysql.administration import Administration
    from pytest_slipstream.databases.engines.mysql.layers import Base
    from pytest_slipstream.databases.engines.mysql.rights import Rights


def create(name: str, settings: DatabaseSettings, *, cache_dir: Path, owner: Owner) -> MysqlEngine:
    """The engine of the configured database ``name``; nothing is started."""
    return MysqlEngine(name, servers.of(settings, cache_dir=cache_dir), owner)


class MysqlEngine:
    """MariaDB 10.5 or newer, or MySQL 8.0 or newer.

    Args:
        key: The database's key in the configuration.
        server: Where it lives.
        owner: This process of this run.
    """

    name = "mysql"
    max_name_length = 64

    def __init__(self, key: str, server: servers.Server, owner: Owner) -> None:
        self._key = key
        self._server = server
        self._owner = naming.owner_digest(owner.testrun_uid, owner.worker)
        self._opened: Administration | None = None
        self._progress: Progress = lambda message: None
        self._bases: dict[str, Base] = {}
        self._rights: Rights | None = None

    @property
    def _administration(self) -> Administration:
        assert self._opened is not None, "the engine is not open"
        return self._opened

    def address(self, database: str) -> Address:
        """Where ``database`` will be."""
        return self._server.address(database)

    def open(self, progress: Progress) -> ServerInfo:
        """Start or reach the server, hold it for this process, sweep what dead runs left.

        Raises:
            ServerError: It cannot be reached, is too old, or the account may not create databases.
        """
        self._progress = progress
        pymysql_module()
        info = self._server.open(progress)
        try:
            self._opened = self._administer()
            self._check()
            self._administration.claim(self._owner)
            self._administration.sweep(self._owner)
        except BaseException:
            self.close()
            raise
        return info

    def _administer(self) -> Administration:
        from pytest_slipstream.databases.engines.mysql.administration import Administration

        return Administration(
            self.address(self._server.maintenance_database),
            lambda: self._server.restart(self._progress),
        )

    def _check(self) -> None:
        from pytest_slipstream.databases.engines.mysql import rights

        session = self._administration.session
        problem = too_old(session.flavour, session.version)
        if problem:
            raise ServerError(
                f"the server is {problem}", hint="slipstream supports MariaDB 10.5 and MySQL 8.0"
            )
        rights.require_databases(session)
        self._administration.open_registry()
        self._rights = rights.rights_of(session)
        if not self._rights.counts:
            self._progress("the server counts no writes, so slots are compared as a whole")

    def close(self, *, keep_running: bool = False) -> None:
        """Let go of the server; an embedded one stops when its last user leaves."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None
        self._server.close(keep_running=keep_running)

    def unavailable(self, isolation: str) -> str | None:
        """Why a strategy cannot be had with this account, or None."""
        # What a rollback leaves behind, and what it did not contain, is cleaned by `reset`.
        needs_sight = isolation in ("reset", "rollback")
        return self._rights.unseen if self._rights and needs_sight else None

    def connect(self, address: Address) -> Any:
        """A new PyMySQL connection, autocommit off."""
        from pytest_slipstream.databases.engines.mysql import sessions

        return sessions.connect(address)

    def run_script(self, address: Address, sql: str) -> None:
        """Run a text of SQL statements, each as the ``mysql`` client would.

        Raises:
            ScriptError: A statement failed, or a transaction was left open at the end.
        """
        from pytest_slipstream.databases.engines.mysql import script

        script.run(address, sql)

    # Templates

    def templates(self) -> list[TemplateInfo]:
        """All published templates on the server, of every project."""
        return [
            TemplateInfo(
                name=one.name,
                database=one.database,
                fingerprint=one.fingerprint,
                used_at=one.used_at,
                size_bytes=one.size_bytes,
            )
            for one in self._administration.published()
        ]

    def build_lock(self, template: str) -> AbstractContextManager[None]:
        """Hold the right to build ``template``, over processes; dies with the process."""
        return self._administration.lock(template)

    def has_template(self, template: str) -> bool:
        """Whether it is published; if so, it is marked as used now and not dropped meanwhile."""
        self._administration.claim(template)
        return self._administration.note_use(template)

    def begin_build(self, template: str) -> Address:
        """An empty database under the build's name."""
        name = naming.build_name(template)
        self._administration.drop(name)
        self._administration.create_empty(name)
        return self.address(name)

    def publish(self, template: str, database: str, fingerprint: str) -> None:
        """Copy the database to its final name, see that nothing got lost, and register it last.

        Raises:
            TemplateError: It holds something that a copy does not.
        """
        import pymysql

        from pytest_slipstream.databases.audit import compare
        from pytest_slipstream.databases.engines.mysql import content, copying, sessions

        session = self._administration.session
        name = naming.build_name(template)
        self._administration.drop(template)
        try:
            copying.copy(session, name, template)
        except pymysql.err.MySQLError as error:
            raise TemplateError(
                f"the database {self._key!r} cannot be copied: {sessions.text(error)}",
                hint="mend or drop what refers to something that is not there any more",
            ) from error
        lost = compare(content.digest_in(session, name), content.digest_in(session, template))
        if lost:
            raise TemplateError(
                f"the database {self._key!r} cannot be copied exactly: {'; '.join(lost)}",
                hint="report this as a defect of slipstream, with the definition of that object",
            )
        self._administration.drop(name)
        self._administration.publish(template, database, fingerprint)

    def abandon_build(self, template: str) -> None:
        """Drop the half-built database."""
        self._administration.drop(naming.build_name(template))

    def drop_template(self, template: str) -> bool:
        """Drop a published template; False when a run uses it or it is gone."""
        return self._administration.drop_template(template)

    def create_slot(self, name: str, template: str) -> Slot:
        """Make a slot.

        Raises:
            ServerError: The server lets nobody in any more.
        """
        import pymysql

        from pytest_slipstream.databases.engines.mysql import sessions
        from pytest_slipstream.databases.engines.mysql.slot import MysqlSlot
        from pytest_slipstream.databases.engines.mysql.watch import Sight

        self._administration.claim(template)
        parsed = naming.parse_slot_name(name)
        if parsed is not None:
            self._administration.claim(parsed.owner)
        assert self._rights is not None
        sight = Sight(rights=self._rights, data=self._data())
        base = self._base(template)
        try:
            return MysqlSlot(self.address(name), base, self._key, self._administration, sight)
        except pymysql.err.OperationalError as error:
            raise unmakeable(name, sessions.text(error)) from error

    def _base(self, template: str) -> Base:
        from pytest_slipstream.databases.engines.mysql import blueprint, copying
        from pytest_slipstream.databases.engines.mysql.layers import Base

        if template not in self._bases:
            session = self._administration.session
            found, positions = blueprint.read(session, template)
            images = copying.images_of(session, template, found, positions)
            self._bases[template] = Base(found, images)
        return self._bases[template]

    def _data(self) -> Path | None:
        """The embedded server's data directory, for MariaDB, whose files tell of definitions."""
        session = self._administration.session
        if self._server.kind != "embedded" or session.flavour != "mariadb":
            return None
        return Path(session.rows("SELECT @@datadir")[0][0])
