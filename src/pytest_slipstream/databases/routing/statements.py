"""What a statement of the application does to transactions, told from its first words.

Pure. The invariant: a statement that ends or begins a transaction is never taken for another one;
one that only may write is taken for one that writes.
"""

from __future__ import annotations

import enum
import re
from functools import cache, lru_cache

import msgspec

from pytest_slipstream.databases.routing.outline import outline


class Kind(enum.Enum):
    """What a statement does."""

    READ = enum.auto()
    WRITE = enum.auto()
    SETTING = enum.auto()
    BEGIN = enum.auto()
    COMMIT = enum.auto()
    ROLLBACK = enum.auto()
    SAVEPOINT = enum.auto()
    RELEASE = enum.auto()
    ROLLBACK_TO = enum.auto()
    UNCONTAINED = enum.auto()


class Statement(msgspec.Struct, frozen=True):
    """A statement's kind; ``name`` of a savepoint; ``reason`` why it cannot be contained."""

    kind: Kind
    name: str = ""
    reason: str = ""

    @property
    def writes(self) -> bool:
        """Whether it may change data."""
        return self.kind is Kind.WRITE


_READ, _WRITE, _SETTING = Statement(Kind.READ), Statement(Kind.WRITE), Statement(Kind.SETTING)
_COMMENTS = r"(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/|;)+"
_READING = frozenset(
    (
        "select",
        "with",
        "pragma",
        "show",
        "explain",
        "values",
        "table",
        "describe",
        "desc",
        "fetch",
        "move",
        "close",
        "declare",
        "listen",
        "unlisten",
        "use",
        "help",
        "checkpoint",
        "discard",
        "deallocate",
    )
)
_CHANGING = r"\b(?:into|insert|(?<!for )(?<!key )update|delete|merge|replace|analy[sz]e)\b"
_OF_TRANSACTION = (
    r"set\s+(?:local\s+(?!transaction)|constraints\b|"
    r"session\s+transaction\s+isolation\s+level\s+repeatable\s+read\b)"
)
_ASSIGNING = r"=|\b(?:foreign_keys|case_sensitive_like|recursive_triggers)\s*\("
_IN_THE_FILE = (  # pragmas of SQLite that write to the database, not to the session
    r"pragma\s+(?:\w+\s*\.\s*)?(?:(?:user_version|application_id|schema_version|default_cache_size)"
    r"\s*[=(]|(?:optimize|incremental_vacuum)\b)"
)
_CONTROL = (
    r";\s*(?:begin|start\s+transaction|commit|end|rollback|abort|savepoint|release|"
    r"prepare\s+transaction)\b"
)
_WITH_A_BODY = r"create\b[^;]*?\b(?:function|procedure|trigger|event|package)\b"
_ENDING = r"\b(?:commit|rollback)\b"  # what PostgreSQL's DO may do outside of a transaction
_NAME = r"""("(?:[^"]|"")+"|`[^`]+`|'[^']+'|\[[^\]]+\]|[^\s;"'`]+)"""
_FORMS = (
    (Kind.UNCONTAINED, r"(?:commit|rollback)\s+prepared\b.*"),
    (Kind.ROLLBACK_TO, rf"rollback(?:\s+(?:work|transaction))?\s+to(?:\s+savepoint)?\s+{_NAME}"),
    (Kind.SAVEPOINT, rf"savepoint\s+{_NAME}"),
    (Kind.RELEASE, rf"release(?:\s+savepoint)?\s+{_NAME}"),
    (
        Kind.BEGIN,
        r"(?:begin|start\s+transaction)"
        r"(?:\s+(?:work|transaction|deferred|immediate|exclusive|read\s+write|"
        r"isolation\s+level\s+read\s+committed|,))*",
    ),
    (Kind.COMMIT, r"(?:commit|end)(?:\s+(?:work|transaction|and\s+no\s+chain))*"),
    (Kind.ROLLBACK, r"(?:rollback|abort)(?:\s+(?:work|transaction|and\s+no\s+chain))*"),
)
_CONTROLLING = frozenset(
    ("begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release")
)
_OUTSIDE = {  # statements that a server refuses, or commits, within a transaction
    "postgresql": (
        r"(?:prepare\s+transaction|vacuum|(?:create|drop)\s+(?:database|tablespace|subscription)|"
        r"alter\s+system|(?:create(?:\s+unique)?|drop)\s+index\s+concurrently|"
        r"reindex.*\bconcurrently|reindex\s+(?:\([^)]*\)\s*)?(?:system|database)|"
        r"cluster\s*;?\s*\Z|discard\s+all\b|refresh\s+materialized\s+view\s+concurrently|"
        r"set\s+(?:session\s+characteristics\s+as\s+transaction|transaction)\b)"
    ),
    "sqlite": (
        r"(?:vacuum|attach|detach|pragma\s+(?:\w+\.)?"
        r"(?:wal_checkpoint\b|(?:defer_foreign_keys|locking_mode|writable_schema)\b\s*[=(]))"
    ),
    "mysql": (
        r"(?:alter|create(?!\s+temporary)|drop(?!\s+temporary)|rename|truncate|analyze|optimize|"
        r"repair|check\s+table|cache\s+index|load\s+index|flush|reset|grant|revoke|lock|unlock|"
        r"install|uninstall|xa|use|"
        r"set\s+(?:(?:global|session|local)\s+)?(?:transaction|autocommit)|"
        r"set\s+@@(?:session\.|local\.)?autocommit|set\s+password|change\s+master|"
        r"start\s+(?:slave|replica))\b"
    ),
}


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """On first use: most runs never need one."""
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


@lru_cache(maxsize=4096)
def read(sql: str, engine: str) -> Statement:
    """What ``sql`` does.

    Args:
        sql: One statement, or several.
        engine: The product that will run it.
    """
    start = _compiled(_COMMENTS).match(sql)
    text = sql[start.end() :] if start else sql
    words = text.split(None, 1)
    first = words[0].lower().rstrip(";(") if words else ""
    if ";" in text and _has_control_within(text, engine):
        return _uncontained(text, "has several statements, of which some control a transaction")
    if first == "do" and _compiled(_ENDING).search(text):
        return _uncontained(text, "may end a transaction")
    if first in _CONTROLLING:
        return _control(text, first, engine)
    if first == "set" and _compiled(_OF_TRANSACTION).match(text):
        return _READ
    if _compiled(_OUTSIDE[engine]).match(text):
        return _uncontained(text, "cannot be rolled back")
    if first == "pragma" and _compiled(_IN_THE_FILE).match(text):
        return _WRITE
    if first == "set" or (first == "pragma" and _compiled(_ASSIGNING).search(text)):
        return _SETTING
    if first in _READING and not _compiled(_CHANGING).search(text):
        return _READ
    return _WRITE if words else _READ


def _has_control_within(text: str, engine: str) -> bool:
    """Whether a statement after the first controls a transaction."""
    if _compiled(_WITH_A_BODY).match(text):  # whose statements are run later
        return False
    return _compiled(_CONTROL).search(outline(text, engine)) is not None


def _control(text: str, first: str, engine: str) -> Statement:
    for kind, form in _FORMS:
        pattern = _compiled(form + r"\s*;?\s*")
        found = pattern.fullmatch(text)
        if found is None:
            continue
        if kind is Kind.UNCONTAINED:
            break
        return Statement(kind, _folded(found[1], engine) if pattern.groups else "")
    if first in ("begin", "end") and ";" in text.rstrip().rstrip(";"):
        return _uncontained(text, "has several statements, of which some control a transaction")
    return _uncontained(text, "controls the transaction in a way that a savepoint does not have")


def _folded(name: str, engine: str) -> str:
    """A name as the product compares it."""
    quoted = name[0] in "\"`'["
    bare = name[1:-1].replace('""', '"') if quoted else name
    return bare if quoted and engine == "postgresql" else bare.lower()


def _uncontained(text: str, why: str) -> Statement:
    shown = " ".join(text.split())
    shown = shown if len(shown) <= 60 else f"{shown[:57]}…"
    return Statement(Kind.UNCONTAINED, reason=f"the statement {shown!r} {why}")
