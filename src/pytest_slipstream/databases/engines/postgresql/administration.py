"""Databases as a whole: made, renamed, dropped, listed; and the locks that say whose they are.

All of it goes through one connection to the maintenance database, which carries this process's
locks and is opened again, with its locks, when the server was restarted. The invariant: only
names that start with slipstream's prefix are ever renamed or dropped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from pytest_slipstream.clock import clock
from pytest_slipstream.databases import naming
from pytest_slipstream.databases.engines.postgresql.sessions import (
    INSUFFICIENT_PRIVILEGE,
    SessionError,
    Sessions,
    identifier,
)
from pytest_slipstream.databases.engines.protocol import Address

_DATABASE = """
SELECT d.datdba::regrole::text, d.datacl IS NOT NULL OR d.datconnlimit <> -1 OR EXISTS (
    SELECT FROM pg_db_role_setting s WHERE s.setdatabase = d.oid)
FROM pg_database d WHERE d.datname = $1
"""
# ALTER DATABASE … SET needs each parameter's own quoting; the catalogue holds the exact value.
_CARRY_SETTINGS = """
INSERT INTO pg_db_role_setting
SELECT new.oid, s.setrole, s.setconfig FROM pg_db_role_setting s
JOIN pg_database old ON old.oid = s.setdatabase, pg_database new
WHERE old.datname = $1 AND new.datname = $2
"""
_CARRY_RIGHTS = """
UPDATE pg_database new SET datacl = old.datacl, datconnlimit = old.datconnlimit
FROM pg_database old WHERE old.datname = $1 AND new.datname = $2
"""
# Without a timeout: pg_terminate_backend waits in steps of 100 ms.
_END_SESSIONS = """
SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = $1 AND pid <> pg_backend_pid()
"""
_SESSIONS = """
SELECT pid FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()
AND backend_type = 'client backend'
"""
_SESSIONS_END_WITHIN_S = 5.0
_SESSION_ENDING_S = 0.1


def lock_key(kind: str, name: str) -> int:
    """The advisory lock's key, a signed 64-bit integer."""
    digest = hashlib.sha256(f"slipstream {kind} {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


class Administration:
    """One process's way to a server's databases.

    Args:
        address: The maintenance database.
        revive: Gets a dead server running again; raises `ServerError` when it cannot.
        sessions: Opens its session.

    Raises:
        SessionError: There is no connection.
    """

    def __init__(self, address: Address, revive: Callable[[], object], sessions: Sessions) -> None:
        self.address = address
        self.sessions = sessions
        self._revive = revive
        self._shared: set[int] = set()
        self._session = sessions.administer(address)
        (row,) = self._session.execute(
            "SELECT rolsuper, rolcreatedb, current_user, current_setting('fsync') = 'on', "
            "current_setting('max_prepared_transactions')::int "
            "FROM pg_roles WHERE rolname = current_user"
        )
        self.superuser, self.may_create = bool(row[0]), bool(row[0]) or bool(row[1])
        self.user, self._fsync = str(row[2]), bool(row[3])
        self.has_prepared_transactions = row[4] != 0
        self.version = self._session.server_version

    def execute(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Run one statement; once more in a new session when the old one was lost."""
        try:
            return self._session.execute(query, *values)
        except SessionError:
            if not self._session.lost:
                raise
        self._session.close()
        self._revive()
        self._session = self.sessions.administer(self.address)
        for key in self._shared:
            self._session.execute("SELECT pg_advisory_lock_shared($1)", key)
        return self._session.execute(query, *values)

    def close(self) -> None:
        """Close the session; its locks go with it."""
        self._session.close()

    # Locks

    def share(self, kind: str, name: str) -> None:
        """Hold a lock, with others that share it, until `close`."""
        key = lock_key(kind, name)
        if key not in self._shared:
            self.execute("SELECT pg_advisory_lock_shared($1)", key)
            self._shared.add(key)

    @contextmanager
    def lock(self, kind: str, name: str) -> Iterator[None]:
        """Hold a lock alone; waits for it."""
        key = lock_key(kind, name)
        self.execute("SELECT pg_advisory_lock($1)", key)
        try:
            yield
        finally:
            self.execute("SELECT pg_advisory_unlock($1)", key)

    @contextmanager
    def lock_at_once(self, kind: str, name: str) -> Iterator[bool]:
        """Hold a lock alone, or yield False when somebody has it."""
        key = lock_key(kind, name)
        held = bool(self.execute("SELECT pg_try_advisory_lock($1)", key)[0][0])
        try:
            yield held
        finally:
            if held:
                self.execute("SELECT pg_advisory_unlock($1)", key)

    # Databases

    def names(self) -> list[str]:
        """All databases that carry slipstream's prefix."""
        rows = self.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, $1)", naming.PREFIX
        )
        return [str(name) for (name,) in rows]

    def exists(self, name: str) -> bool:
        """Whether there is such a database."""
        return bool(self.execute("SELECT 1 FROM pg_database WHERE datname = $1", name))

    def create_empty(self, name: str) -> None:
        """Make a database with nothing in it."""
        self.execute(f"CREATE DATABASE {_ours(name)} TEMPLATE template0")

    def clone(self, source: str, name: str) -> None:
        """Copy a database that nobody is connected to, with its owner, rights and settings."""
        ((owner, has_more),) = self.execute(_DATABASE, source)
        strategy = "" if self.version < 150000 else f"STRATEGY {self._strategy}"
        self.execute(f"CREATE DATABASE {_ours(name)} TEMPLATE {identifier(source)} {strategy}")
        # CREATE DATABASE copies neither of these.
        if self.superuser and owner != f"{self.user}":
            self.execute(f"ALTER DATABASE {_ours(name)} OWNER TO {owner}")
        if self.superuser and has_more:
            self.execute(_CARRY_SETTINGS, source, name)
            self.execute(_CARRY_RIGHTS, source, name)

    def warm(self, name: str) -> None:
        """Have the server write its cache of the catalogue, which a first session waits for."""
        self.sessions.administer(msgspec.structs.replace(self.address, database=name)).close()
        self.end_sessions(name)

    @property
    def _strategy(self) -> str:
        """Files are copied fastest when nothing is forced to disk, pages through WAL otherwise."""
        return "WAL_LOG" if self._fsync else "FILE_COPY"

    def drop(self, name: str) -> None:
        """Drop a database and end its sessions; nothing happens when it is gone."""
        self.execute(f"DROP DATABASE IF EXISTS {_ours(name)} WITH (FORCE)")

    def shut(self, name: str) -> None:
        """Let nobody in any more and end the sessions that there are."""
        self.execute(f"ALTER DATABASE {_ours(name)} ALLOW_CONNECTIONS false")
        self.end_sessions(name)

    def end_sessions(self, name: str) -> None:
        """End all sessions in a database and see them gone."""
        deadline = clock.seconds() + _SESSIONS_END_WITHIN_S
        while self.execute(_END_SESSIONS, name) and clock.seconds() < deadline:
            self.execute("SELECT pg_sleep(0.001)")

    def reopen(self, name: str) -> None:
        """Let sessions in again."""
        self.execute(f"ALTER DATABASE {_ours(name)} ALLOW_CONNECTIONS true")

    def rename(self, old: str, new: str) -> None:
        """Give a database without sessions another name."""
        self.execute(f"ALTER DATABASE {_ours(old)} RENAME TO {_ours(new)}")

    def is_deserted(self, name: str) -> bool:
        """Whether no session is in a database; one that just ends may end."""
        return self._see(_SESSIONS, name)

    def is_idle(self, name: str) -> bool:
        """Whether no session is in a transaction; one that just ends it may do so."""
        return self._see(f"{_SESSIONS} AND state <> 'idle'", name)

    def _see(self, sessions: str, name: str) -> bool:
        deadline = clock.seconds() + _SESSION_ENDING_S
        while self.execute(sessions, name):
            if clock.seconds() > deadline:
                return False
            self.execute("SELECT pg_sleep(0.002)")
        return True

    def sweep(self, own_owner: str) -> None:
        """Drop what dead runs left: slots whose owner's lock is free, builds that nobody does."""
        names = self.names()
        parsed = {name: naming.parse_slot_name(name) for name in names}
        owners = {slot.owner for slot in parsed.values() if slot and slot.owner != own_owner}
        for owner in sorted(owners):
            with self.lock_at_once("owner", owner) as dead:
                for name, slot in parsed.items():
                    if dead and slot and slot.owner == owner:
                        self._drop_if_allowed(name)
        for name in names:
            if name.startswith(f"{naming.PREFIX}b_"):
                template = name.replace(f"{naming.PREFIX}b_", f"{naming.PREFIX}t_", 1)
                with self.lock_at_once("build", template) as dead:
                    if dead:
                        self._drop_if_allowed(name)

    def _drop_if_allowed(self, name: str) -> None:
        try:
            self.drop(name)
        except SessionError as error:
            if error.sqlstate != INSUFFICIENT_PRIVILEGE:
                raise
            # Another role's, who will drop it.


def _ours(name: str) -> str:
    assert name.startswith(naming.PREFIX), name
    return identifier(name)
