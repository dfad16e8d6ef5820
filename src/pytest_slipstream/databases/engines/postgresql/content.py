"""What a PostgreSQL database holds, read in full for the audit.

The invariant: equal contents give equal dictionaries, and any change of a row, a sequence or an
object's definition changes one. Nothing here relies on how a slot is cleaned. Object ids are left
out: a copy that was made anew equals one that was cleaned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import resources

from psycopg import sql

from pytest_slipstream.databases.engines.postgresql import connections
from pytest_slipstream.databases.engines.protocol import Address

_STORING = """
SELECT n.nspname, c.relname, c.relkind::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'S') AND c.relpersistence <> 't'
  AND (c.relkind <> 'm' OR c.relispopulated)
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', '_slipstream')
  AND n.nspname NOT LIKE 'pg\\_toast%'
ORDER BY 1, 2
"""
_ROWS = sql.SQL(
    "SELECT {}, count(*) || ' rows, ' || "
    "coalesce(md5(string_agg(md5(row), '' ORDER BY md5(row))), '') "
    # An alias that no column has, since a column would go before it.
    "FROM (SELECT _slipstream_row::text AS row FROM ONLY {} _slipstream_row) rows"
)
_POSITION = sql.SQL("SELECT {}, last_value || ', ' || is_called FROM {}")


def digest(address: Address) -> dict[str, str]:
    """Each object and each table's rows to a digest.

    Args:
        address: The database, as a role that may read all of it.
    """
    with connections.read(address) as connection:
        connection.execute("SET lock_timeout = '5s'")
        return digest_by(lambda query: connection.execute(query.encode()).fetchall())


def digest_by(rows: Callable[[str], Iterable[Sequence[object]]]) -> dict[str, str]:
    """The same over somebody's session; text is as the session's settings make it.

    Args:
        rows: Sends a query as it is.
    """
    catalogue = (resources.files(__package__) / "sql" / "digest.sql").read_text()
    found = {str(key): str(value) for key, value in rows(catalogue)}
    parts = [_part(str(schema), str(name), str(kind)) for schema, name, kind in rows(_STORING)]
    if parts:
        union = sql.SQL(" UNION ALL ").join(parts).as_string(None)
        found |= {str(key): str(value) for key, value in rows(union)}
    return found


def _part(schema: str, name: str, kind: str) -> sql.Composed:
    target = sql.Identifier(schema, name)
    if kind == "S":
        return _POSITION.format(f"position of {schema}.{name}", target)
    return _ROWS.format(f"rows of {schema}.{name}", target)
