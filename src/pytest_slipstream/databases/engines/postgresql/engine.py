"""The PostgreSQL engine of one configured database: its server, its templates, its slots.

The invariant: nothing is imported, started or connected before `PostgresqlEngine.open`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_slipstream.clock import clock
from pytest_slipstream.databases import naming, servers
from pytest_slipstream.databases.engines.protocol import (
    Address,
    Owner,
    Progress,
    ScriptError,
    ServerInfo,
    Slot,
    TemplateInfo,
    unmakeable,
)
from pytest_slipstream.databases.servers.postgresql_driver import psycopg_module
from pytest_slipstream.errors import ServerError, TemplateError
from pytest_slipstream.settings import DatabaseSettings

if TYPE_CHECKING:
    from pytest_slipstream.databases.engines.postgresql.administration import Administration

_OLDEST = 140000
# No connection; connection exception, insufficient resources, operator intervention, system error.
_REFUSES = ("", "08", "53", "57", "58")


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """A published template's comment. Unix times in seconds."""

    database: str
    fingerprint: str
    created_at: float
    used_at: float


def create(
    name: str, settings: DatabaseSettings, *, cache_dir: Path, owner: Owner
) -> PostgresqlEngine:
    """The engine of the configured database ``name``; nothing is started."""
    server = servers.of(settings, cache_dir=cache_dir)
    return PostgresqlEngine(name, settings, server, owner)


class PostgresqlEngine:
    """PostgreSQL 14 or newer.

    Args:
        key: The database's key in the configuration.
        settings: Its table.
        server: Where it lives.
        owner: This process of this run.
    """

    name = "postgresql"
    max_name_length = 63

    def __init__(
        self, key: str, settings: DatabaseSettings, server: servers.Server, owner: Owner
    ) -> None:
        self._key = key
        self._settings = settings
        self._server = server
        self._owner = naming.owner_digest(owner.testrun_uid, owner.worker)
        self._opened: Administration | None = None
        self._progress: Progress = lambda message: None

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
            ServerError: It cannot be reached, is too old, or the role may not create databases.
        """
        self._progress = progress
        info = self._server.open(progress)
        try:
            self._opened = self._administer()
            self._check()
            self._administration.share("owner", self._owner)
            self._administration.sweep(self._owner)
        except BaseException:
            self.close()
            raise
        from pytest_slipstream.databases.engines.postgresql import cleaner

        # A template holds slipstream's own objects, so it depends on the text that makes them.
        return msgspec.structs.replace(info, identity=f"{info.identity} {cleaner.own_objects()}")

    def _administer(self) -> Administration:
        from pytest_slipstream.databases.engines.postgresql.administration import Administration
        from pytest_slipstream.databases.engines.postgresql.sessions import Sessions

        return Administration(
            self.address(self._server.maintenance_database),
            lambda: self._server.restart(self._progress),
            Sessions(self._server.client_library),
        )

    def _check(self) -> None:
        administration = self._administration
        if administration.version < _OLDEST:
            raise ServerError(
                f"the server is PostgreSQL {administration.version // 10000}, which is too old",
                hint="slipstream supports PostgreSQL 14 and newer",
            )
        if not administration.may_create:
            raise ServerError(
                f"the role {administration.user!r} lacks the right CREATEDB, without which no "
                "database can be made",
                hint=f"as a superuser: ALTER ROLE {administration.user} CREATEDB (or SUPERUSER, "
                "which the isolation strategy `reset` needs)",
            )

    def close(self, *, keep_running: bool = False) -> None:
        """Let go of the server; an embedded one stops when its last user leaves."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None
        self._server.close(keep_running=keep_running)

    def unavailable(self, isolation: str) -> str | None:
        """Why a strategy cannot be had with this role, or None."""
        if isolation in ("reset", "rollback") and not self._administration.superuser:
            return (
                f"the role {self._administration.user!r} lacks the right SUPERUSER, which event "
                "triggers and session_replication_role need"
            )
        return None

    def connect(self, address: Address) -> Any:
        """A new psycopg connection, autocommit off."""
        psycopg_module()
        from pytest_slipstream.databases.engines.postgresql import connections

        return connections.connect(address)

    def run_script(self, address: Address, sql: str) -> None:
        """Run a text of SQL statements, each as psql would.

        Raises:
            ScriptError: A statement failed, or a transaction was left open at the end.
        """
        psycopg_module()
        from pytest_slipstream.databases.engines.postgresql import script

        script.run(address, sql)

    # Templates

    def templates(self) -> list[TemplateInfo]:
        """All published templates on the server, of every project."""
        rows = self._administration.execute(
            "SELECT datname, shobj_description(oid, 'pg_database'), pg_database_size(oid) "
            "FROM pg_database WHERE starts_with(datname, $1) AND NOT datallowconn",
            f"{naming.PREFIX}t_",
        )
        return [
            TemplateInfo(
                name=str(name),
                database=remark.database,
                fingerprint=remark.fingerprint,
                used_at=remark.used_at,
                size_bytes=int(str(size)),
            )
            for name, comment, size in rows
            # The size of a database that is dropped meanwhile is NULL.
            if size is not None and (remark := read_remark(comment)) is not None
        ]

    def build_lock(self, template: str) -> AbstractContextManager[None]:
        """Hold the right to build ``template``, over processes; dies with the process."""
        return self._administration.lock("build", template)

    def has_template(self, template: str) -> bool:
        """Whether it is published; if so, it is marked as used now and not dropped meanwhile."""
        self._administration.share("use", template)
        rows = self._administration.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1",
            template,
        )
        if not rows:
            return False
        self._note_use(template, read_remark(rows[0][0]))
        return True

    def _note_use(self, template: str, remark: Remark | None) -> None:
        from pytest_slipstream.databases.engines.postgresql.sessions import (
            LOCK_NOT_AVAILABLE,
            SessionError,
        )

        if remark is None:
            return
        used = msgspec.structs.replace(remark, used_at=clock.unix())
        try:
            self._administration.execute(
                f"SET LOCAL lock_timeout = '20ms'; {_comment(template, used)}"
            )
        except SessionError as error:
            if error.sqlstate != LOCK_NOT_AVAILABLE:
                raise
            # Somebody copies it at this moment, and has noted that.

    def begin_build(self, template: str) -> Address:
        """An empty database with the configured extensions, under the build's name.

        Raises:
            TemplateError: An extension cannot be created.
        """
        name = naming.build_name(template)
        self._administration.drop(name)
        self._administration.create_empty(name)
        address = self.address(name)
        for extension in self._settings.extensions:
            quoted = '"' + extension.replace('"', '""') + '"'
            try:
                self.run_script(address, f"CREATE EXTENSION IF NOT EXISTS {quoted} CASCADE")
            except ScriptError as error:
                self.abandon_build(template)
                raise TemplateError(
                    f"the extension {extension!r} of database {self._key!r} cannot be created: "
                    f"{error.message}",
                    hint="`SELECT name FROM pg_available_extensions` lists what this server has; "
                    'another server can be named by `server = "postgresql://…"`',
                ) from error
        return address

    def publish(self, template: str, database: str, fingerprint: str) -> None:
        """Add slipstream's own objects, close the database to connections, rename it last."""
        name = naming.build_name(template)
        if self._administration.superuser:
            from pytest_slipstream.databases.engines.postgresql import cleaner

            self._administration.shut(name)
            self._administration.reopen(name)
            cleaner.install(self._administration.sessions.clean_in(self.address(name)))
            self._administration.warm(name)  # copies of its files are warm, too
        self._administration.shut(name)
        now = clock.unix()
        remark = Remark(database=database, fingerprint=fingerprint, created_at=now, used_at=now)
        self._administration.execute(_comment(name, remark))
        self._administration.rename(name, template)

    def abandon_build(self, template: str) -> None:
        """Drop the half-built database."""
        self._administration.drop(naming.build_name(template))

    def drop_template(self, template: str) -> bool:
        """Drop a published template; False when a run uses it or it is gone."""
        with self._administration.lock_at_once("use", template) as unused:
            if not unused or not self._administration.exists(template):
                return False
            self._administration.drop(template)
            return True

    def create_slot(self, name: str, template: str) -> Slot:
        """Make a slot.

        Raises:
            ServerError: The server lets nobody in any more.
        """
        from pytest_slipstream.databases.engines.postgresql.plain_slot import PlainSlot
        from pytest_slipstream.databases.engines.postgresql.sessions import SessionError
        from pytest_slipstream.databases.engines.postgresql.slot import PostgresqlSlot
        from pytest_slipstream.databases.engines.postgresql.spare import Spare

        self._administration.share("use", template)
        parsed = naming.parse_slot_name(name)
        if parsed is not None:
            self._administration.share("owner", parsed.owner)
        kind = PostgresqlSlot if self._administration.superuser else PlainSlot
        spare = Spare(name, self._administer)
        try:
            return kind(self.address(name), template, self._administration, spare)
        except SessionError as error:
            if error.sqlstate[:2] not in _REFUSES:
                raise
            raise unmakeable(name, str(error).splitlines()[-1]) from error


def _comment(name: str, remark: Remark) -> str:
    from pytest_slipstream.databases.engines.postgresql.sessions import identifier, literal

    said = literal(msgspec.json.encode(remark).decode())
    return f"COMMENT ON DATABASE {identifier(name)} IS {said}"


def read_remark(comment: object) -> Remark | None:
    """What a database's comment says; None when it is not a published template's."""
    try:
        return msgspec.json.decode(str(comment), type=Remark)
    except msgspec.DecodeError:
        return None
