"""What an operation on the schema of a MariaDB or MySQL database can see, read by slipstream.

The invariant: two equal catalogues of a database say that all in it is defined alike, by what
SHOW CREATE tells of each object. Reading that takes as long as dropping a few tables, so the
server's counters of DDL statements are read first: while they stand still, nothing is defined
otherwise. TRUNCATE does not count here, since it changes rows and positions only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import pymysql

from pytest_slipstream.databases.engines.mysql.blueprint import POSITION
from pytest_slipstream.databases.engines.mysql.sessions import Session, literal, quoted
from pytest_slipstream.databases.engines.mysql.watch import COMMANDS

_NAMES = """
SELECT 'TABLE', table_name, concat_ws(' ', table_type, engine)
FROM information_schema.tables WHERE table_schema = {database} AND table_type <> 'VIEW'
UNION ALL
SELECT 'VIEW', table_name, '' FROM information_schema.views WHERE table_schema = {database}
UNION ALL
SELECT routine_type, routine_name, '' FROM information_schema.routines
WHERE routine_schema = {database}
UNION ALL
SELECT 'TRIGGER', trigger_name, concat(event_object_table, ' ', action_order)
FROM information_schema.triggers WHERE trigger_schema = {database}
UNION ALL
SELECT 'EVENT', event_name, '' FROM information_schema.events WHERE event_schema = {database}
ORDER BY 1, 2
"""
# Tables of other databases that reference one of these. The first way takes the right PROCESS, the
# second opens all tables of all databases that the role may see.
_REFERENCES = (
    "SELECT id FROM information_schema.innodb_sys_foreign "
    "WHERE left(ref_name, {length}) = {folder} AND left(for_name, {length}) <> {folder}",
    "SELECT concat_ws('/', constraint_schema, constraint_name) "
    "FROM information_schema.referential_constraints "
    "WHERE unique_constraint_schema = {database} AND constraint_schema <> {database}",
)
_COUNTED = {
    "definitions": [name for name in COMMANDS if name != "Com_truncate"],
    "inserts": ["Handler_write"],
    "arrivals": ["Connections", "Com_change_db", "Com_admin_commands"],
    "claims": ["Com_create_temporary_table", "Com_lock_tables"],
}
_KINDS = {name.upper(): kind for kind, names in _COUNTED.items() for name in names}
_SPELT = ", ".join(literal(name) for names in _COUNTED.values() for name in names)
_WANTED = f"variable_name IN ({_SPELT})"
# To count one of them takes as long as all.
_COUNTERS = (
    "SELECT group_concat(variable_name, ' ', variable_value)"
    f" FROM information_schema.global_status WHERE {_WANTED}"
)
_SHOWN = f"SHOW GLOBAL STATUS WHERE {_WANTED}"
"""MySQL shows them in none of its tables."""
DATABASE = ("DATABASE", "")
"""Under which a catalogue has the database itself."""
_PLAIN = "BASE TABLE InnoDB"
_STATEMENT_IN = {"TABLE": slice(1, 2), "VIEW": slice(1, 4), "EVENT": slice(1, 7)}
"""Which columns of SHOW CREATE are the definition; a trigger's last says when it was made."""
_OTHERS_STATEMENT = slice(1, 6)


class Counted(msgspec.Struct, frozen=True):
    """What everybody on a server has done: how many ``definitions`` there were, for how many rows
    ``inserts`` were asked, ``arrivals`` of connections in databases, and ``claims`` that a session
    has on tables, of its own or by a lock."""

    definitions: int
    inserts: int
    arrivals: int
    claims: int


class Catalogue(msgspec.Struct, frozen=True):
    """All of a database but its rows and positions. ``objects``: by kind and name."""

    objects: Mapping[tuple[str, str], str]

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables."""
        return tuple(name for kind, name in self.objects if kind == "TABLE")

    @property
    def problem(self) -> str | None:
        """What makes results unknown."""
        for (kind, name), definition in self.objects.items():
            if kind == "TABLE" and not definition.startswith(_PLAIN):
                return f"the table {name}, which is not a plain one of InnoDB's"
            if kind == "REFERENCE":
                return f"the foreign key {name}, by which another database refers to this one"
        return None


class Reader:
    """Reads the catalogue of one database.

    Args:
        session: Slipstream's own.
        database: The database's name.
    """

    def __init__(self, session: Session, database: str) -> None:
        self._session = session
        self._database = database
        values = {
            "database": literal(database),
            "folder": literal(f"{database}/"),
            "length": len(f"{database}/"),
        }
        self._names = _NAMES.format(**values)
        self._references = [query.format(**values) for query in _REFERENCES]
        self.question = _SHOWN if session.flavour == "mysql" else _COUNTERS
        """What tells the counters, for `counted`."""
        self._definitions = -1
        self._last = Catalogue({})

    def at(self, counted: Counted) -> Catalogue:
        """The catalogue when the counters said this, a moment ago."""
        known = self.known_at(counted)
        if known is None:
            known = self._last = self._read()
            self._definitions = counted.definitions
        return known

    def known_at(self, counted: Counted) -> Catalogue | None:
        """The same, if it has been read already."""
        return self._last if counted.definitions == self._definitions else None

    def _read(self) -> Catalogue:
        keys: list[tuple[str, str]] = [DATABASE]
        more = [""]
        for kind, name, details in self._session.rows(self._names):
            keys.append((str(kind), str(name)))
            more.append(str(details))
        shown = self._session.results(
            f"SHOW CREATE {kind} {quoted(self._database, name) if name else quoted(self._database)}"
            for kind, name in keys
        )
        objects = {
            key: f"{details} {_definition(key[0], rows[0])}"
            for key, details, (_, rows) in zip(keys, more, shown, strict=True)
        }
        return Catalogue(objects | {("REFERENCE", name): "" for name in self._referring()})

    def _referring(self) -> list[str]:
        try:
            return [str(name) for (name,) in self._session.rows(self._references[0])]
        except pymysql.err.MySQLError:
            return [str(name) for (name,) in self._session.rows(self._references[1])]


def counted(told: Sequence[Sequence[object]]) -> Counted:
    """The answer to `Reader.question`."""
    found = dict.fromkeys(_COUNTED, 0)
    lines = str(told[0][0]).split(",") if len(told[0]) == 1 else [f"{n} {v}" for n, v in told]
    for name, _, number in (line.partition(" ") for line in lines):
        found[_KINDS[name.upper()]] += int(number)
    return Counted(**found)


def _definition(kind: str, row: Sequence[object]) -> str:
    told = row[_STATEMENT_IN.get(kind, _OTHERS_STATEMENT)]
    return POSITION.sub(r"\1", "\0".join(str(part) for part in told))
