"""What an operation on PostgreSQL's schema can see, read in one statement over its own session.

The invariant: two states with the same `digest` differ in rows, sequence positions and the names of
schemas at most. Catalogue rows are told apart by the transaction that wrote them. Only those of
relations and sequences are compared by what they say, since TRUNCATE and RESTART write them too.
Rows that a new database brings along, object ids below 16384, are nobody's to change.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

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
_SETTINGS = (
    "search_path",
    "default_tablespace",
    "default_table_access_method",
    "default_toast_compression",
    "role",
)
_USER = 16384


def _by_transaction(table: str, key: str) -> str:
    return (
        f"(SELECT concat(count(*), ' ', sum(xmin::text::bigint)) FROM pg_catalog.{table} "
        f"WHERE {key} >= {_USER})"
    )


def _by_content(table: str, key: str, columns: str) -> str:
    return (
        f"(SELECT concat(count(*), ' ', sum(hashtextextended(ROW({columns})::text, 0))) "
        f"FROM pg_catalog.{table} WHERE {key} >= {_USER})"
    )


_DIGEST = ", ".join(
    [
        *(_by_transaction(table, key) for table, key in _BY_TRANSACTION.items()),
        _by_content("pg_class", "oid", _RELATION),
        _by_content("pg_sequence", "seqrelid", _SEQUENCE),
    ]
)
_IS_BLANK = (
    "NOT EXISTS (SELECT FROM pg_catalog.pg_depend WHERE refobjid = {} "
    "AND refclassid = 'pg_catalog.pg_namespace'::regclass)"
)
_SURROUNDINGS = ", ".join(f"current_setting('{name}', true)" for name in _SETTINGS)
_QUERY = f"""
SELECT concat_ws(' ', pg_postmaster_start_time(),
                 (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())),
       concat_ws('; ', current_user, {_SURROUNDINGS}),
       current_schema()::text,
       concat_ws(', ', {_DIGEST}),
       (SELECT json_agg(json_build_object(
            'oid', oid::bigint, 'name', nspname, 'owner', nspowner::regrole::text,
            'rights', nspacl::text, 'comment', obj_description(oid, 'pg_namespace'),
            'is_blank', {_IS_BLANK.format("n.oid")}, 'is_ours', pg_has_role(nspowner, 'MEMBER')))
        FROM pg_catalog.pg_namespace n
        WHERE nspname = current_schema() OR starts_with(nspname, '{PREFIX}'))::text,
       has_database_privilege(current_database(), 'CREATE'),
       current_setting('is_superuser') = 'on',
       txid_current_if_assigned() IS NOT NULL,
       (SELECT count(*) FROM pg_catalog.pg_depend
        WHERE refclassid = 'pg_catalog.pg_namespace'::regclass
          AND refobjid <> (SELECT oid FROM pg_catalog.pg_namespace
                           WHERE nspname = current_schema())),
       inet_server_addr()::text,
       current_setting('transaction_isolation'),
       concat_ws(', ',
            CASE WHEN current_setting('transaction_read_only') = 'on'
                 THEN 'a transaction that only reads' END,
            CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_cursors
                              WHERE position('{PREFIX}' in statement) = 0)  -- not this one
                 THEN 'an open cursor' END,
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
    other schemas; ``problem``: what makes results unknown.
    """

    identity: str
    surroundings: str
    schema: Namespace | None
    parked: tuple[Namespace, ...]
    digest: str
    may_rename: bool
    is_superuser: bool
    writes: bool
    elsewhere: int
    server: str | None
    problem: str

    def named(self, name: str | None) -> Namespace | None:
        """One of slipstream's schemas."""
        return next((found for found in self.parked if found.name == name), None)

    def is_local(self, host: str | None) -> bool:
        """Whether the server is on this machine."""
        return self.server is None or _is_loopback(self.server) or _is_loopback(host or "")


def read(rows: Rows) -> State:
    """The state of the session's database."""
    row = rows(_QUERY)[0]
    identity, surroundings, current, digest, namespaces, may_create, superuser, writes = row[:8]
    elsewhere, server, isolation, problem = row[8:]
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
        problem=problem,
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_interface(host).ip.is_loopback
    except ValueError:
        return False
