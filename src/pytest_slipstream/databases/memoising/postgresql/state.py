"""What an operation on PostgreSQL's schema can see, read in one statement over its own session.

The invariant: two states with the same `digest` differ in rows, sequence positions and the names of
schemas at most. Catalogue rows are told apart by their place and the transaction that wrote them.
Only those of relations and sequences are compared by what they say, since TRUNCATE and RESTART
write them too.
Rows that a new database brings along, object ids below 16384, are nobody's to change.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec.structs import asdict

Rows = Callable[[str], Sequence[Sequence[Any]]]
"""Sends a query over the caller's session."""

PREFIX = "slipstream_memo_"
# What can change without a new or a lost row in pg_depend, and pg_depend.
_BY_TRANSACTION = {
    "pg_attribute": "attrelid",
    "pg_constraint": "oid",
    "pg_default_acl": "oid",
    "pg_depend": "objid",
    "pg_description": "objoid",
    "pg_enum": "oid",
    "pg_index": "indexrelid",
    "pg_policy": "oid",
    "pg_proc": "oid",
    "pg_rewrite": "oid",
    "pg_seclabel": "objoid",
    "pg_statistic_ext": "oid",
    "pg_trigger": "oid",
    "pg_type": "oid",
}
_RELATION = (
    "oid, relname, relnamespace, reltype, reloftype, relowner, relam, reltablespace, "
    "reltoastrelid, relhasindex, relpersistence, relkind, relnatts, relchecks, relhasrules, "
    "relhastriggers, relhassubclass, relrowsecurity, relforcerowsecurity, relispopulated, "
    "relreplident, relispartition, relacl, reloptions"
)
_SEQUENCE = "seqrelid, seqtypid, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle"
_BY_CONTENT = {"pg_class": "oid", "pg_sequence": "seqrelid"}
_SETTINGS = (
    "search_path",
    "default_tablespace",
    "default_table_access_method",
    "default_toast_compression",
    "role",
)
_USER = 16384


_ROWS = " UNION ALL ".join(
    f"SELECT age(xmin), hashtidextended(ctid, 0) FROM pg_catalog.{table} WHERE {key} >= {_USER}"
    for table, key in _BY_TRANSACTION.items()
)
# How many rows there are, and the sums of their transactions and places. Who writes a row later has
# a later transaction, or another place if it is the same. `age`, which counts back from a number
# that this statement knows, is the only way from a transaction to a number without a text.
_BY_ROW = f"""
(SELECT concat_ws(' ', count(*), count(*) * (age('3'::xid)::bigint + 3) - sum(age), sum(place))
 FROM ({_ROWS}) AS stored(age, place))
"""


def _by_content(table: str, columns: str) -> str:
    return (
        f"(SELECT concat(count(*), ' ', sum(hash_record_extended(ROW({columns}), 0))) "
        f"FROM pg_catalog.{table} WHERE {_BY_CONTENT[table]} >= {_USER})"
    )


_DIGEST = ", ".join(
    [
        _BY_ROW,
        _by_content("pg_class", _RELATION),
        _by_content("pg_sequence", _SEQUENCE),
    ]
)
_IS_BLANK = (
    "NOT EXISTS (SELECT FROM pg_catalog.pg_depend WHERE refobjid = {} "
    "AND refclassid = 'pg_catalog.pg_namespace'::regclass)"
)
_SURROUNDINGS = ", ".join(f"current_setting('{name}', true)" for name in _SETTINGS)
_IDENTITY = """
concat_ws(' ', pg_postmaster_start_time(),
          (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
"""
_SESSION = f"concat_ws('; ', current_user, {_SURROUNDINGS})"
_OPEN_CURSOR = f"""
EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE position('{PREFIX}' in statement) = 0)
"""  # but for the one of the statement itself
_GLANCE = f"""
SELECT {_IDENTITY}, {_SESSION}, current_schema()::text, current_setting('is_superuser') = 'on',
       txid_current_snapshot()::text,
       txid_current_if_assigned() IS NULL AND pg_my_temp_schema() = 0
           AND current_setting('transaction_isolation') = 'read committed'
           AND current_setting('transaction_read_only') = 'off' AND NOT {_OPEN_CURSOR}
"""
# All that `read` compares by row or by content. No row may be new, and none gone; nothing that the
# transaction has written itself is among them.
_STORED = " UNION ALL ".join(
    f"SELECT age(xmin) FROM pg_catalog.{table} WHERE {key} >= {_USER}"
    for table, key in (*_BY_TRANSACTION.items(), *_BY_CONTENT.items(), ("pg_event_trigger", "oid"))
)
_NAMESPACES = f"""
(SELECT json_agg(json_build_object(
     'oid', oid::bigint, 'name', nspname, 'owner', nspowner::regrole::text,
     'rights', nspacl::text, 'comment', obj_description(oid, 'pg_namespace'),
     'is_ours', pg_has_role(nspowner, 'MEMBER'){{more}}))
 FROM pg_catalog.pg_namespace n
 WHERE nspname = current_schema() OR starts_with(nspname, '{PREFIX}'))::text
"""
_IS_BLANK_TOO = f", 'is_blank', {_IS_BLANK.format('n.oid')}"
_STILL = f"""
SELECT count(*), min(age) > age('{{since}}'::xid), {_NAMESPACES.format(more="")},
       has_database_privilege(current_database(), 'CREATE')
FROM ({_STORED}) AS stored(age)
"""
_QUERY = f"""
SELECT {_IDENTITY}, {_SESSION},
       current_schema()::text,
       concat_ws(', ', {_DIGEST}),
       {_NAMESPACES.format(more=_IS_BLANK_TOO)},
       has_database_privilege(current_database(), 'CREATE'),
       current_setting('is_superuser') = 'on',
       txid_current_if_assigned() IS NOT NULL,
       (SELECT count(*) FROM pg_catalog.pg_depend
        WHERE refclassid = 'pg_catalog.pg_namespace'::regclass
          AND refobjid <> (SELECT oid FROM pg_catalog.pg_namespace
                           WHERE nspname = current_schema())),
       inet_server_addr()::text,
       txid_current_snapshot()::text,
       current_setting('transaction_isolation'),
       (SELECT count(*) FROM pg_catalog.pg_event_trigger),
       concat_ws(', ',
            CASE WHEN current_setting('transaction_read_only') = 'on'
                 THEN 'a transaction that only reads' END,
            CASE WHEN {_OPEN_CURSOR} THEN 'an open cursor' END,
            CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_event_trigger WHERE evtenabled <> 'D')
                 THEN 'an event trigger' END,
            CASE WHEN NOT {_IS_BLANK.format("pg_my_temp_schema()")} THEN 'a temporary table' END)
"""


class Namespace(msgspec.Struct, frozen=True):
    """A schema."""

    oid: int
    name: str
    owner: str
    rights: str | None
    comment: str | None
    is_blank: bool
    is_ours: bool

    def is_like(self, other: Namespace) -> bool:
        """Whether one can stand in for the other."""
        return (self.owner, self.rights, self.comment) == (
            other.owner,
            other.rights,
            other.comment,
        )


class State(msgspec.Struct, frozen=True):
    """A database, as the session sees it.

    ``identity`` is the database's; ``surroundings`` are the session's settings that new objects
    depend on; ``writes``: the transaction has written; ``elsewhere``: the number of objects in
    other schemas, None if they were not counted; ``snapshot``: the transactions that are seen, in
    PostgreSQL's words; ``counted`` rows of the catalogue were seen when those of all transactions
    before ``since`` were; ``problem``: what makes results unknown; ``as_new``: the schema whose
    tables and sequences have been put back, and nobody has changed since.
    """

    identity: str
    surroundings: str
    schema: Namespace | None
    parked: tuple[Namespace, ...]
    digest: str
    may_rename: bool
    is_superuser: bool
    writes: bool
    elsewhere: int | None
    server: str | None
    snapshot: str
    counted: int
    since: int
    problem: str
    as_new: int | None = None

    def named(self, name: str | None) -> Namespace | None:
        """One of slipstream's schemas."""
        return next((found for found in self.parked if found.name == name), None)

    def swapped(self, other: Namespace, away: str, as_new: int | None = None) -> State:
        """The state when a transaction that has another schema take the place of the one in front,
        and does nothing else, has ended.

        Args:
            other: Which.
            away: What the one that was in front is called now.
            as_new: The one whose tables the transaction has put back.
        """
        assert self.schema is not None
        rest = (found for found in self.parked if found is not other)
        return msgspec.structs.replace(
            self,
            schema=msgspec.structs.replace(other, name=self.schema.name),
            parked=(msgspec.structs.replace(self.schema, name=away), *rest),
            elsewhere=None,
            as_new=as_new or self.as_new,
            snapshot="" if self.writes else _with_one_more(self.snapshot),
        )

    def is_local(self, host: str | None) -> bool:
        """Whether the server is on this machine."""
        return self.server is None or _is_loopback(self.server) or _is_loopback(host or "")


def read(rows: Rows) -> State:
    """The state of the session's database."""
    row = rows(_QUERY)[0]
    identity, surroundings, current, digest, namespaces, may_create, superuser, writes = row[:8]
    elsewhere, server, snapshot, isolation, triggers, problem = row[8:]
    found = msgspec.convert(json.loads(namespaces or "[]"), list[Namespace])
    schema = next((namespace for namespace in found if namespace.name == current), None)
    if isolation != "read committed":
        problem = f"the isolation level {isolation}"
    return State(
        identity=identity,
        surroundings=surroundings,
        schema=schema,
        parked=tuple(namespace for namespace in found if namespace is not schema),
        digest=digest,
        may_rename=bool(may_create) and schema is not None and schema.is_ours,
        is_superuser=bool(superuser),
        writes=bool(writes),
        elsewhere=int(elsewhere),
        server=server,
        snapshot=snapshot,
        counted=triggers + sum(int(part.partition(" ")[0]) for part in digest.split(", ")),
        since=int(snapshot.partition(":")[0]),
        problem=problem,
    )


class Glance(msgspec.Struct, frozen=True):
    """What a session is like, and which transactions it sees.

    ``is_plain``: nothing but these can make its database another to it.
    """

    identity: str
    surroundings: str
    schema: str | None
    is_superuser: bool
    snapshot: str
    is_plain: bool

    def is_like(self, state: State) -> bool:
        """Whether the session is the one that has read a state, or one like it, and has done
        nothing yet that others do not see."""
        return (
            self.is_plain
            and (self.identity, self.surroundings) == (state.identity, state.surroundings)
            and self.is_superuser == state.is_superuser
            and state.schema is not None
            and self.schema == state.schema.name
        )


def glance(rows: Rows) -> Glance:
    """Less than the state, in a fraction of the time."""
    return Glance(*rows(_GLANCE)[0])


def is_still(rows: Rows, state: State) -> bool:
    """Whether the database of a session, of which `Glance.is_like` is true, is in a state still:
    the transactions that have ended since have changed rows of tables alone.

    In half of the time in which all is read.
    """
    counted, are_old, namespaces, may_create = rows(_STILL.format(since=state.since % 2**32))[0]
    known = [asdict(found) for found in (state.schema, *state.parked) if found is not None]
    return (
        counted == state.counted
        and bool(are_old)
        and (bool(may_create) or not state.may_rename)
        and _by_oid(json.loads(namespaces or "[]")) == _by_oid(known)
    )


def _by_oid(namespaces: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Schemas, but for whether they are blank, which other rows tell."""
    return {found["oid"]: {**found, "is_blank": None} for found in namespaces}


def _with_one_more(snapshot: str) -> str:
    """The snapshot when the one transaction that writes now has ended; empty if others do, too."""
    oldest, following, running = snapshot.split(":")
    if running or oldest != following:
        return ""
    return f"{int(following) + 1}:{int(following) + 1}:"


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_interface(host).ip.is_loopback
    except ValueError:
        return False
