"""The forms of ``schema`` and ``seed``, as frozen values, decided by the text alone.

Nothing is read, imported or looked up here: the same text is the same source on every machine.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Literal

import msgspec

from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.settings import DatabaseSettings, Sources

Role = Literal["schema", "seed"]

_NAME = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_OBJECT = re.compile(rf"(?P<module>{_NAME}):(?P<attribute>{_NAME}|\*)\Z")

_VALID = {
    "schema": "'module:object', 'module:*' for its Peewee models, an Alembic file 'alembic.ini', "
    "'file.sql' or 'directory/' of them",
    "seed": "'module:callable', 'file.sql' or 'directory/' of them",
}


class _Source(msgspec.Struct, frozen=True):
    """``text`` as in the configuration; ``role`` is the option that it stands in."""

    role: Role
    text: str

    def __str__(self) -> str:
        return f"{self.role} {self.text!r}"


class ObjectSource(_Source, frozen=True):
    """``module:object``: ``attribute`` may be a dotted path, or ``*`` for the module itself."""

    module: str
    attribute: str


class MigrationSource(_Source, frozen=True):
    """An Alembic ini file."""


class ScriptSource(_Source, frozen=True):
    """A file of SQL statements."""


class DirectorySource(_Source, frozen=True):
    """A directory whose ``.sql`` files are run in natural order (2 before 10)."""


Source = ObjectSource | MigrationSource | ScriptSource | DirectorySource


def decode(text: str, role: Role) -> Source:
    """Decide what ``text`` is.

    Args:
        text: One entry of the option.
        role: The option: ``schema`` or ``seed``.

    Raises:
        ConfigurationError: when it has none of the valid forms.
    """
    if found := _OBJECT.match(text):
        return ObjectSource(role, text, found["module"], found["attribute"])
    path = PurePath(text)
    if path.suffix == ".sql":
        return ScriptSource(role, text)
    if path.suffix == ".ini" and role == "schema":
        return MigrationSource(role, text)
    is_directory = text.endswith("/") or (text.strip() != "" and "." not in path.name)
    if is_directory and ":" not in text:
        return DirectorySource(role, text)
    raise ConfigurationError(
        f"{role} {text!r} is not a source: {_reason(text, role)}", hint=f"write {_VALID[role]}"
    )


def _reason(text: str, role: Role) -> str:
    if not text.strip():
        return "it is empty"
    if role == "seed" and text.endswith(".ini"):
        return "an Alembic file makes a schema, it does not seed"
    if re.match(_NAME + r"\Z", text):
        return "it names a module and no object in it"
    return "it has none of the valid forms"


def decode_all(settings: DatabaseSettings) -> tuple[Source, ...]:
    """All sources of a database, in the order in which they are applied: schema, then seed."""
    return tuple(
        [decode(text, "schema") for text in _texts(settings.schema)]
        + [decode(text, "seed") for text in _texts(settings.seed)]
    )


def _texts(option: Sources) -> tuple[str, ...]:
    return (option,) if isinstance(option, str) else option
