"""Dropping and making a schema's tables on PostgreSQL by renaming: the schema with the tables gives
its name to an empty one, and takes it back.

All of it happens in the caller's own transaction, is seen by everybody when that commits, and is
undone when it is rolled back. Nothing is remembered about the database that is not compared with
the database: what it is like is read before each operation. The invariant: tables come back only if
nobody has changed anything in the catalogue since they were made, and they come back empty.
"""

from __future__ import annotations

from collections.abc import Callable
from graphlib import CycleError, TopologicalSorter
from typing import Any

import msgspec

from pytest_slipstream.databases.memoising.ledger import UnknownResultError
from pytest_slipstream.databases.memoising.operations import Check, Operation, Session
from pytest_slipstream.databases.memoising.postgresql.state import Namespace, State, read

ONE_PAGE_BYTES = 8192
"""A table that has more is truncated, which leaves it as new; otherwise its rows are deleted, which
is many times faster and keeps the order in which a page is filled."""

_FRUITLESS = 5
"""After so many times in a row that what was kept was of no use, nothing is kept any more."""
_RELATIONS = """
SELECT c.oid::bigint, c.oid::regclass::text, c.relkind::text || c.relpersistence::text,
       coalesce((SELECT json_agg(conrelid::bigint) FROM pg_catalog.pg_constraint
                 WHERE contype = 'f' AND confrelid = c.oid), '[]')::text,
       c.relrowsecurity OR c.relhasrules
           OR EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal)
           OR EXISTS (SELECT FROM pg_catalog.pg_constraint
                      WHERE conrelid = c.oid AND confrelid = c.oid AND confdeltype = 'r'),
       EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = c.oid AND tgenabled IN ('A', 'R')),
       c.relkind = 'r' AND pg_relation_size(c.oid) > 0
FROM pg_catalog.pg_class c
WHERE c.relnamespace = {namespace} AND c.relkind IN ('r', 'p', 'f', 'm', 'S')
ORDER BY c.oid
"""
_MOVED = """
SELECT EXISTS (SELECT FROM unnest(ARRAY[{sequences}]::oid[]) s
               WHERE pg_sequence_last_value(s) IS NOT NULL)
"""
_PARK = """
DO $slipstream$ BEGIN
    {lock}
    ALTER SCHEMA {schema} RENAME TO {parked};
    ALTER SCHEMA {spare} RENAME TO {schema};
END $slipstream$
"""
_UNPARK = """
DO $slipstream$
DECLARE
    stored oid;
    filled oid[] := ARRAY(SELECT s FROM unnest(ARRAY[{tables}]::oid[]) WITH ORDINALITY t(s, n)
                          WHERE pg_relation_size(s) > 0 ORDER BY n);
    notices text := current_setting('client_min_messages');
    replication text := current_setting('session_replication_role');
BEGIN
    PERFORM set_config('client_min_messages', 'error', true);
    {quiet}
    FOREACH stored IN ARRAY filled LOOP
        IF pg_relation_size(stored) > {one_page} THEN
            EXECUTE 'TRUNCATE ' || stored::regclass || ' CASCADE';
        END IF;
    END LOOP;
    FOREACH stored IN ARRAY filled LOOP
        IF pg_relation_size(stored) > 0 THEN
            EXECUTE 'DELETE FROM ' || stored::regclass;
        END IF;
    END LOOP;
    {rewind}
    ALTER SCHEMA {schema} RENAME TO {spare};
    ALTER SCHEMA {parked} RENAME TO {schema};
    PERFORM set_config('client_min_messages', notices, true);
    {loud}
END $slipstream$
"""
# Not undone by a rollback, which does not matter while the sequences are out of sight.
_REWIND = """
    PERFORM setval(seqrelid, seqstart, false) FROM pg_catalog.pg_sequence
    WHERE seqrelid = ANY (ARRAY[{sequences}]::oid[]);
"""
_REWIND_TRANSACTIONALLY = """
    FOR stored IN SELECT unnest(ARRAY[{sequences}]::oid[]) LOOP
        EXECUTE 'ALTER SEQUENCE ' || stored::regclass || ' RESTART';
    END LOOP;
"""
_QUIET = "PERFORM set_config('session_replication_role', 'replica', true);"
_LOUD = "PERFORM set_config('session_replication_role', replication, true);"
_RIGHTS = """
SELECT coalesce(grantee::regrole::text, ''), grantee = 0, privilege_type, is_grantable,
       grantor::regrole::text
FROM aclexplode({rights}::aclitem[])
"""


class Made(msgspec.Struct, frozen=True):
    """Tables as an operation made them: where, and what the catalogue was afterwards.

    ``tables`` are in the order in which their rows can be deleted, or in any where that takes a
    superuser, who can keep triggers quiet. ``is_seen``: no sequence moves without a transaction.
    """

    namespace: int
    digest: str
    tables: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    sequences: tuple[int, ...] = ()
    needs_superuser: bool = False
    is_seen: bool = False
    problem: str | None = None


class Before(msgspec.Struct, frozen=True):
    """What `Parking.record` needs; ``restored`` is what a check compares with."""

    state: State
    restored: Any = None


class Parking:
    """What is known of one set of tables in one database.

    Args:
        new_name: Gives names for schemas.
    """

    def __init__(self, new_name: Callable[[], str]) -> None:
        self._new_name = new_name
        self._made: Made | None = None
        self._blank: str | None = None
        self._is_inverse = False
        self._parked: str | None = None
        self._spare: str | None = None
        self._idle: set[tuple[Operation, str, str]] = set()
        self._refused: str | None = None
        self._given_up = 0

    def redo(
        self, session: Session, state: State, operation: Operation, check: Check
    ) -> Before | State:
        """Do what the operation comes to, if that is known.

        Args:
            session: The caller's.
            state: Of the database now.
            operation: The call.
            check: Says whether one is due; then the operation is left to be done as it is
                written, so that the two can be compared.

        Returns:
            Where it is done, the state when a transaction that does nothing else has ended;
            otherwise what `record` needs.

        Raises:
            UnknownResultError: It depends on something that cannot be compared.
        """
        if state.problem or state.schema is None:
            raise UnknownResultError(state.problem or "a session without a schema")
        if self._refused:
            raise UnknownResultError(self._refused)
        schema, made = state.schema, self._made
        if (operation, state.digest, _where(state)) in self._idle:
            return state
        if made is None or made.digest != state.digest:
            return _before(session, state)
        if operation.makes:
            return self._make(session, state, made, check)
        if not self._is_inverse or schema.oid != made.namespace:
            return _before(session, state)
        if state.writes:
            raise UnknownResultError("a transaction that has written")
        return self._park(session, state, schema, made)

    def record(self, session: Session, operation: Operation, before: Before) -> None:
        """Learn from an operation that has just run as it is written."""
        state = read(session.rows)
        if state.schema is None or before.state.schema is None or state.problem:
            return
        if state.digest == before.state.digest and not before.state.writes:
            if operation.makes == (not state.schema.is_blank):
                self._idle.add((operation, state.digest, _where(state)))
            return
        if operation.makes and before.state.schema.is_blank:
            self._blank = before.state.digest
            self._made = look(session, state)
            self._refused = self._made.problem
            if state.elsewhere != before.state.elsewhere:
                self._refused = "objects in another schema"
        elif not operation.makes and self._made is not None and not self._is_inverse:
            had_all = before.state.digest == self._made.digest
            if had_all and state.digest == self._blank and state.schema.is_blank:
                self._refused = self._have_spare(session, state)
                self._is_inverse = self._refused is None

    def _make(self, session: Session, state: State, made: Made, check: Check) -> Before | State:
        parked, schema = state.named(self._parked), state.schema
        assert schema is not None
        is_there = parked is not None and parked.oid == made.namespace
        if not is_there or parked is None or not schema.is_blank:
            return _before(session, state)
        if not parked.is_like(schema):
            raise UnknownResultError("a schema whose owner or rights are others than before")
        self._given_up = 0
        if not check.is_due():
            session.run(self._unpark(state, made))
            return state.swapped(parked, str(self._spare), as_new=made.namespace)
        session.run("SAVEPOINT slipstream_memo")
        session.run(self._unpark(state, made))
        restored = check.content()
        session.run("ROLLBACK TO SAVEPOINT slipstream_memo")
        session.run(f"DROP SCHEMA {parked.name} CASCADE")
        return Before(read(session.rows), restored)

    def _park(self, session: Session, state: State, schema: Namespace, made: Made) -> State:
        spare = state.named(self._spare)
        is_stale = state.named(self._parked) is not None
        if is_stale:  # the tables of an earlier time: others changed the catalogue meanwhile
            session.run(f"DROP SCHEMA {self._parked} CASCADE")
            self._given_up += 1
            if self._given_up > _FRUITLESS:
                self._refused = "a database whose schema others change between two uses"
        has_spare = spare is not None and spare.is_blank and spare.is_like(schema)
        if not has_spare and self._refused is None:
            self._refused = self._have_spare(session, state)
        if self._refused is not None:
            raise UnknownResultError(self._refused)
        if is_stale or not has_spare:
            state = read(session.rows)
            spare = state.named(self._spare)
            self._made = made = msgspec.structs.replace(made, digest=state.digest)
        assert spare is not None
        self._parked = self._new_name()
        session.run(park(made.names, schema.name, self._parked, str(self._spare)))
        return state.swapped(spare, self._parked)

    def _unpark(self, state: State, made: Made) -> str:
        self._spare = self._spare or self._new_name()
        return unpark(state, made, self._spare, str(self._parked))

    def _have_spare(self, session: Session, state: State) -> str | None:
        """Make an empty schema that can stand in for the one with the tables.

        Returns:
            Why that cannot be, or None.
        """
        assert state.schema is not None
        if not state.may_rename:
            return f"the schema {state.schema.name}, which the role may not rename"
        if self._made is not None and self._made.needs_superuser and not state.is_superuser:
            return "tables with triggers or cyclic foreign keys, and a role that is no superuser"
        if (spare := state.named(self._spare)) is not None and spare.is_blank:
            session.run(f"DROP SCHEMA {spare.name}")
        self._spare = self._new_name()
        for statement in copy_of(session, state.schema, self._spare):
            session.run(statement)
        made = read(session.rows).named(self._spare)
        if made is None or not made.is_like(state.schema):
            return f"the schema {state.schema.name}, whose rights cannot be given to another"
        return None


def _before(session: Session, state: State) -> Before:
    return Before(read(session.rows) if state.elsewhere is None else state)


def _where(state: State) -> str:
    """Which schema is in front: the digest does not say it."""
    return f"{state.schema.oid if state.schema else None}"


def park(names: tuple[str, ...], schema: str, parked: str, spare: str) -> str:
    """The statement that puts a schema with these tables out of sight, and a spare in its place."""
    lock = f"LOCK TABLE {', '.join(names)} IN ACCESS EXCLUSIVE MODE;" if names else ""
    return _PARK.format(lock=lock, schema=quoted(schema), parked=parked, spare=spare)


def unpark(state: State, made: Made, spare: str, parked: str) -> str:
    """The statement that brings tables back, empty; ``spare`` is what is in sight called then."""
    assert state.schema is not None
    if state.as_new == made.namespace and made.is_seen:
        return park((), state.schema.name, spare, parked)
    rewind = _REWIND_TRANSACTIONALLY if state.writes else _REWIND
    return _UNPARK.format(
        tables=_listed(made.tables),
        rewind=rewind.format(sequences=_listed(made.sequences)) if made.sequences else "",
        quiet=_QUIET if state.is_superuser else "",
        loud=_LOUD if state.is_superuser else "",
        one_page=ONE_PAGE_BYTES,
        schema=quoted(state.schema.name),
        spare=spare,
        parked=parked,
    )


def look(session: Session, state: State, *, besides: str = "") -> Made:
    """The tables that were just made, without rows, save for the table ``besides``."""
    assert state.schema is not None
    relations = session.rows(_RELATIONS.format(namespace=state.schema.oid))
    made = Made(state.schema.oid, state.digest)
    sequences = tuple(int(row[0]) for row in relations if row[2].startswith("S"))
    stored = {int(row[0]): row for row in relations if row[2].startswith("r")}
    if len(sequences) + len(stored) < len(relations):
        problem = "a table that is partitioned or foreign, or a materialised view"
    elif any(row[5] for row in stored.values()):
        problem = "a trigger that fires always"
    elif any(row[6] and row[1] != besides for row in stored.values()):
        problem = "tables with rows"
    elif sequences and session.rows(_MOVED.format(sequences=_listed(sequences)))[0][0]:
        problem = "a sequence that has moved"
    else:
        order, has_cycle = _children_first(
            {oid: _numbers(row[3]) - {oid} for oid, row in stored.items()}
        )
        return msgspec.structs.replace(
            made,
            tables=order,
            names=tuple(str(stored[oid][1]) for oid in order),
            sequences=sequences,
            needs_superuser=has_cycle or any(row[4] for row in stored.values()),
            is_seen=not any(row[2] == "Su" for row in relations),
        )
    return msgspec.structs.replace(made, problem=problem)


def _children_first(referencing: dict[int, set[int]]) -> tuple[tuple[int, ...], bool]:
    """Tables after those that reference them; and whether there is no such order."""
    try:
        return tuple(TopologicalSorter(referencing).static_order()), False
    except CycleError:
        return tuple(referencing), True


def copy_of(session: Session, schema: Namespace, name: str) -> list[str]:
    """Statements that make an empty schema like another."""
    statements = [f"CREATE SCHEMA {name} AUTHORIZATION {schema.owner}"]
    if schema.comment is not None:
        statements.append(f"COMMENT ON SCHEMA {name} IS {literal(schema.comment)}")
    if schema.rights is not None:
        statements.append(f"REVOKE ALL ON SCHEMA {name} FROM {schema.owner}")
        rights = session.rows(_RIGHTS.format(rights=literal(schema.rights)))
        for grantee, is_everybody, privilege, is_grantable, _ in rights:
            to = "PUBLIC" if is_everybody else grantee
            option = " WITH GRANT OPTION" if is_grantable and to != schema.owner else ""
            statements.append(f"GRANT {privilege} ON SCHEMA {name} TO {to}{option}")
    return statements


def quoted(name: str) -> str:
    """A name as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as a literal, whatever `standard_conforming_strings` says."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"


def _numbers(array: str) -> set[int]:
    return set(msgspec.json.decode(array, type=list[int]))


def _listed(oids: tuple[int, ...]) -> str:
    return ", ".join(map(str, oids))
