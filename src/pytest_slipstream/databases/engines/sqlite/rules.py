"""What a declared type takes: for each type of the real engines, the values that SQLite would store
and they would not.

Pure. The invariant: a rule never refuses what the real engine stores unchanged, and never what it
stores rounded where SQLite's reader rounds too (`NUMERIC`). Of a type that is not known here,
nothing is refused.

Ranges: PostgreSQL's manual, 8.1 to 8.5; MySQL's manual, 13.1 to 13.5.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Literal, NamedTuple

RealEngine = Literal["postgresql", "mysql"]


class Rule(NamedTuple):
    """What a column takes.

    ``refused`` is an SQL condition in which ``{v}`` stands for the value: it is true for a value
    that is refused, and never for NULL. ``takes`` says in words what is not refused.
    """

    refused: str
    takes: str


_SIGNED_BITS = {
    "TINYINT": 8,
    "SMALLINT": 16,
    "INT2": 16,
    "SMALLSERIAL": 16,
    "MEDIUMINT": 24,
    "INT": 32,
    "INTEGER": 32,
    "INT4": 32,
    "SERIAL": 32,
    "BIGINT": 64,
    "BIG INT": 64,
    "INT8": 64,
    "BIGSERIAL": 64,
}
_DECIMAL = ("DECIMAL", "NUMERIC", "DEC")
_FLOAT = ("REAL", "FLOAT", "DOUBLE", "DOUBLE PRECISION", "FLOAT4", "FLOAT8")
_BYTES = ("BLOB", "BYTEA", "TINYBLOB", "MEDIUMBLOB", "LONGBLOB", "BINARY", "VARBINARY")
_MOMENT = ("DATETIME", "TIMESTAMP", "TIMESTAMPTZ")
_TIME = ("TIME", "TIMETZ")
_MYSQL_TEXT_BYTES = {"TINYTEXT": 2**8 - 1, "TEXT": 2**16 - 1, "MEDIUMTEXT": 2**24 - 1}
_EXACT_DIGITS = 15  # of a double, which is all that SQLite has for a number with a fraction
_GREATEST = 2**63 - 1

# SQLite has nothing behind the brackets.
_TYPE = re.compile(r"([A-Z0-9_ ]+?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?", re.IGNORECASE)
_ZONE = re.compile(r" WITH(OUT)? TIME ZONE\Z")

# Text and bytes are greater than every number, and a comparison with NULL is not true.
_NO_NUMBER = "typeof({v}) IN ('text', 'blob')"


def rule(declared: str, real: RealEngine | None) -> Rule | None:
    """What a column of this type takes, or None where nothing is refused.

    Args:
        declared: The type as ``CREATE TABLE`` has it.
        real: The engine that SQLite stands for, where the two differ.
    """
    found = _TYPE.fullmatch(declared)
    if not found:
        return None
    words = found[1].upper().split()
    name = _ZONE.sub("", " ".join(word for word in words if word not in ("SIGNED", "UNSIGNED")))
    size, scale = int(found[2] or 0), int(found[3] or 0)
    if name in _SIGNED_BITS:
        return _whole(_SIGNED_BITS[name], unsigned="UNSIGNED" in words)
    if name in ("BOOLEAN", "BOOL"):
        return _whole(8) if real == "mysql" else Rule("{v} NOT IN (0, 1)", "true (1) or false (0)")
    if name in _DECIMAL:
        return _decimal(size or (10 if real == "mysql" else 0), scale)
    if name in _FLOAT:
        return Rule(_NO_NUMBER, "a number")
    if name in _BYTES:
        return _bytes(size if "BINARY" in name else 0)
    if name in _MOMENT or name == "DATE" or name in _TIME:
        return _time(name)
    if name in ("JSON", "JSONB"):
        return _json(binary=name == "JSONB")
    return _text(name, size, real)


def _whole(bits: int, *, unsigned: bool = False) -> Rule:
    low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    inside = f"BETWEEN {low} AND {min(high, _GREATEST)}"
    return Rule(
        f"{{v}} NOT {inside} OR {{v}} <> CAST({{v}} AS INTEGER)",
        f"a whole number from {low} to {high}",
    )


def _decimal(digits: int, scale: int) -> Rule:
    """A number that has too many digits after it was rounded; both engines round silently."""
    if not digits:
        return Rule(_NO_NUMBER, "a number")
    whole = digits - scale
    takes = f"a number of at most {whole} digit{'' if whole == 1 else 's'} before the point"
    if digits > _EXACT_DIGITS:
        return Rule(f"{{v}} NOT BETWEEN -1e{whole} AND 1e{whole}", takes)
    limit = Decimal(10) ** whole - Decimal(5).scaleb(-scale - 1)
    return Rule(f"NOT ({{v}} > -{limit:f} AND {{v}} < {limit:f})", takes)


def _bytes(size: int) -> Rule:
    longer = f" OR length({{v}}) > {size}" if size else ""
    takes = f"at most {size} bytes" if size else "bytes"
    return Rule("typeof({v}) NOT IN ('blob', 'null')" + longer, takes)


def _text(name: str, size: int, real: RealEngine | None) -> Rule | None:
    no_text = "typeof({v}) = 'blob'"
    if "CHAR" in name and size:
        # Blanks at the end may be too many: both engines cut them off.
        return Rule(
            f"{no_text} OR length(rtrim({{v}})) > {size}", f"a text of at most {size} characters"
        )
    if real == "mysql" and name in _MYSQL_TEXT_BYTES:
        size = _MYSQL_TEXT_BYTES[name]
        longer = f"length(CAST({{v}} AS BLOB)) > {size}"
        return Rule(f"{no_text} OR {longer}", f"a text of at most {size} bytes")
    if any(part in name for part in ("CHAR", "CLOB", "TEXT")):
        return Rule(no_text, "a text")
    return None


def _json(*, binary: bool) -> Rule:
    kinds = "('null', 'blob')" if binary else "('null')"
    also = "" if binary else "typeof({v}) = 'blob' OR "
    return Rule(f"{also}typeof({{v}}) NOT IN {kinds} AND NOT json_valid({{v}})", "JSON")


def _time(name: str) -> Rule:
    """ISO 8601 alone: of other spellings SQLite would compare and sort the letters.

    A modifier makes SQLite compute, and so move the 31st of February into March.
    """
    if name == "DATE":
        return Rule("{v} IS NOT date({v}, '+0 days')", "a date as 'YYYY-MM-DD'")
    if name in _TIME:
        shape = "{v} NOT GLOB '[0-2][0-9]:[0-5][0-9]*'"
        return Rule(
            f"{{v}} IS NOT NULL AND ({shape} OR time({{v}}) IS NULL)", "a time as 'HH:MM:SS'"
        )
    no_date = "date(substr({v}, 1, 10), '+0 days') IS NOT substr({v}, 1, 10)"
    return Rule(
        f"{no_date} OR ({{v}} IS NOT NULL AND julianday({{v}}) IS NULL)",
        "a date and time as 'YYYY-MM-DD HH:MM:SS'",
    )
