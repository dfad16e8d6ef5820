"""Statements about whole databases of MariaDB and MySQL: which are understood.

Pure. The invariant: a statement that is not understood to its last word is None, and runs as it is
written.
"""

from __future__ import annotations

import re
from typing import ClassVar

import msgspec

_NAME = r"(`(?:[^`]|``)+`|[A-Za-z_][\w$]*)"
_OPTION = r"\s+(?:DEFAULT\s+)?(?:CHARACTER\s+SET|CHARSET|COLLATE)\s*(?:=\s*)?(?:'\w+'|\w+)"
_CREATE = re.compile(
    rf"\s*CREATE\s+(?:DATABASE|SCHEMA)\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}(?:{_OPTION})*\s*;?\s*",
    re.IGNORECASE | re.ASCII,
)
_DROP = re.compile(
    rf"\s*DROP\s+(?:DATABASE|SCHEMA)\s+(?:IF\s+EXISTS\s+)?{_NAME}\s*;?\s*",
    re.IGNORECASE | re.ASCII,
)
_EXISTS = re.compile(
    r"\s*SELECT\s+SCHEMA_NAME\s+FROM\s+INFORMATION_SCHEMA\.SCHEMATA"
    r"\s+WHERE\s+SCHEMA_NAME\s*=\s*'([\w$-]+)'\s*;?\s*",
    re.IGNORECASE | re.ASCII,
)


class Create(msgspec.Struct, frozen=True):
    """``CREATE DATABASE``. ``text``: all of it."""

    label: ClassVar[str] = "CREATE DATABASE on MySQL or MariaDB"
    name: str
    text: str


class Drop(msgspec.Struct, frozen=True):
    """``DROP DATABASE``."""

    label: ClassVar[str] = "DROP DATABASE on MySQL or MariaDB"
    label_of_none: ClassVar[str] = "DROP DATABASE of none on MySQL or MariaDB"
    """What the summary calls one that finds no such database."""
    name: str
    text: str


class Exists(msgspec.Struct, frozen=True):
    """A question whether there is a database; ``negated``: the same about one that cannot be."""

    name: str
    negated: str


def read(text: str) -> Create | Drop | Exists | None:
    """A statement that is understood."""
    if (found := _DROP.fullmatch(text)) is not None:
        return Drop(_plain(found[1]), text)
    if (found := _CREATE.fullmatch(text)) is not None:
        return Create(_plain(found[1]), text)
    if (found := _EXISTS.fullmatch(text)) is not None:
        return Exists(found[1], f"{text[: found.start(1)]}{text[found.end(1) :]}")
    return None


def _plain(name: str) -> str:
    return name[1:-1].replace("``", "`") if name.startswith("`") else name
