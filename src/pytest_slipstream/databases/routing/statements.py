"""What a statement of the application does to transactions, told from its first words.

Pure. The invariant: a statement that ends or begins a transaction is never taken for another one;
one that only may write is taken for one that writes.
"""

from __future__ import annotations

import enum
import re
from functools import lru_cache

import msgspec


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
_COMMENTS = re.compile(r"(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/|;)+", re.DOTALL)
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
_CHANGING = re.compile(
    r"\b(?:into|insert|(?<!for )(?<!key )update|delete|merge|replace|analy[sz]e)\b", re.IGNORECASE
)
_OF_TRANSACTION = re.compile(
    r"set\s+(?:local\s+(?!transaction)|constraints\b|"
    r"session\s+transaction\s+isolation\s+level\s+repeatable\s+read\b)",
    re.IGNORECASE,
)
_ASSIGNING = re.compile(r"=|\b(?:foreign_keys|case_sensitive_like|recursive_triggers)\s*\(", re.I)
_KEPT_IN_THE_FILE = re.compile(
    r"pragma\s+(?:\w+\.)?(?:user_version|application_id)\s*[=(]", re.IGNORECASE
)
_CONTROL = re.compile(
    r";\s*(?:begin|start\s+transaction|commit|end|rollback|abort|savepoint|release|"
    r"prepare\s+transaction)\b",
    re.IGNORECASE,
)
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
_PATTERNS = tuple(
    (kind, re.compile(pattern + r"\s*;?\s*", re.IGNORECASE | re.DOTALL)) for kind, pattern in _FORMS
)
_CONTROLLING = frozenset(
    ("begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release")
)
_OUTSIDE = {  # statements that a server refuses, or commits, within a transaction
    "postgresql": re.compile(
        r"(?:prepare\s+transaction|vacuum|(?:create|drop)\s+(?:database|tablespace|subscription)|"
        r"alter\s+system|(?:create(?:\s+unique)?|drop)\s+index\s+concurrently|"
        r"reindex.*\bconcurrently|reindex\s+(?:\([^)]*\)\s*)?(?:system|database)|"
        r"cluster\s*;?\s*\Z|refresh\s+materialized\s+view\s+concurrently|"
        r"set\s+(?:session\s+characteristics\s+as\s+transaction|transaction)\b)",
        re.IGNORECASE | re.DOTALL,
    ),
    "sqlite": re.compile(
        r"(?:vacuum|attach|detach|pragma\s+(?:\w+\.)?"
        r"(?:wal_checkpoint\b|(?:defer_foreign_keys|locking_mode|writable_schema)\b\s*[=(]))",
        re.IGNORECASE,
    ),
    "mysql": re.compile(
        r"(?:alter|create(?!\s+temporary)|drop(?!\s+temporary)|rename|truncate|analyze|optimize|"
        r"repair|check\s+table|cache\s+index|load\s+index|flush|reset|grant|revoke|lock|unlock|"
        r"install|uninstall|xa|use|"
        r"set\s+(?:(?:global|session|local)\s+)?(?:transaction|autocommit)|"
        r"set\s+@@(?:session\.|local\.)?autocommit|set\s+password|change\s+master|"
        r"start\s+(?:slave|replica))\b",
        re.IGNORECASE,
    ),
}


@lru_cache(maxsize=4096)
def read(sql: str, engine: str) -> Statement:
    """What ``sql`` does.

    Args:
        sql: One statement, or several.
        engine: The product that will run it.
    """
    start = _COMMENTS.match(sql)
    text = sql[start.end() :] if start else sql
    words = text.split(None, 1)
    first = words[0].lower().rstrip(";(") if words else ""
    if _CONTROL.search(text) and first != "create":  # a routine's or a trigger's body is no control
        return _uncontained(text, "has several statements, of which some end a transaction")
    if first in _CONTROLLING:
        return _control(text, first, engine)
    if first == "set" and _OF_TRANSACTION.match(text):
        return _READ
    if _OUTSIDE[engine].match(text):
        return _uncontained(text, "cannot be rolled back")
    if first == "pragma" and _KEPT_IN_THE_FILE.match(text):
        return _WRITE
    if first == "set" or (first == "pragma" and _ASSIGNING.search(text)):
        return _SETTING
    if first in _READING and not _CHANGING.search(text):
        return _READ
    return _WRITE if words else _READ


def _control(text: str, first: str, engine: str) -> Statement:
    for kind, pattern in _PATTERNS:
        found = pattern.fullmatch(text)
        if found is None:
            continue
        if kind is Kind.UNCONTAINED:
            break
        return Statement(kind, _folded(found[1], engine) if pattern.groups else "")
    if first in ("begin", "end") and ";" in text.rstrip().rstrip(";"):
        return _uncontained(text, "has several statements, of which some end a transaction")
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
