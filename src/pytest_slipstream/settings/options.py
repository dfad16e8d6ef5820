"""The table of options, read from the structs: names, kinds, defaults, flags, variables.

The invariant: nothing about an option is written down twice, so file, environment, command line
and reference page cannot disagree.
"""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
import pytest

from pytest_slipstream.settings.budget_model import BudgetSettings
from pytest_slipstream.settings.database_model import DatabaseSettings
from pytest_slipstream.settings.model import LaneSettings, Settings

Kind = Literal["switch", "choice", "number", "text", "list", "table"]

_WITHOUT_PREFIX = frozenset(
    ("build", "lane", "machine", "queue", "shard", "workers", "workers_start")
)
_TABLES = frozenset(("databases", "lanes", "budget"))

_KINDS: dict[Any, Kind] = {
    bool: "switch",
    Literal: "choice",
    int: "number",
    str: "text",
    tuple: "list",
    dict: "table",
}


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One option.

    Args:
        name: The key in the file.
        of_database: Whether it is a key of each database, or of ``[tool.slipstream]`` itself.
        kind: What a value looks like.
        type: What `msgspec.convert` decodes a value to.
        choices: The valid values, when only some are.
        least: The smallest valid number.
        required: Whether it has no default.
        default: The value without any.
        description: One or two sentences of Markdown.
        needs: Settings of the same database, with the values of which one is needed for the option
            to have an effect.
    """

    name: str
    of_database: bool
    kind: Kind
    type: Any
    choices: tuple[str, ...]
    least: int | None
    required: bool
    default: Any
    description: str
    needs: dict[str, tuple[Any, ...]]

    @property
    def flag(self) -> str:
        """The command line's option."""
        prefix = "" if self.name in _WITHOUT_PREFIX else "slipstream-"
        return f"--{prefix}{self.name.replace('_', '-')}"

    @property
    def environment(self) -> str:
        """The environment variable."""
        return f"SLIPSTREAM_{self.name.upper()}"

    @property
    def dest(self) -> str:
        """The attribute of pytest's parsed command line."""
        return f"slipstream_{self.name}"

    @property
    def expected(self) -> str:
        """What a value must be, in words."""
        least = "" if self.least is None else f" of at least {self.least}"
        return {
            "switch": "true or false",
            "choice": "one of " + ", ".join(self.choices),
            "number": " or ".join([f"a whole number{least}", *self.choices]),
            "text": "a text",
            "list": "a text or a list of texts",
            "table": f"a table of whole numbers{least}" if least else "a table of texts",
        }[self.kind]


def options_of(struct: type[msgspec.Struct], *, of_database: bool) -> tuple[Option, ...]:
    """The options that a struct's fields declare, in their order."""
    return tuple(
        _option(field, of_database)
        for field in msgspec.structs.fields(struct)
        if field.name not in _TABLES
    )


def _least(plain: Any, meta: msgspec.Meta) -> int | None:
    """The least value, of a table's values where it is one."""
    parts = (plain, *get_args(plain))
    inner = [one for part in parts for one in getattr(part, "__metadata__", ())]
    return next((int(one.ge) for one in (meta, *inner) if one.ge is not None), None)


def _option(field: msgspec.structs.FieldInfo, of_database: bool) -> Option:
    value_type, meta = get_args(field.type)
    plain, *others = _without_none(value_type)
    least = _least(plain, meta)
    plain = get_args(plain)[0] if get_origin(plain) is Annotated else plain
    origin = get_origin(plain) or plain
    factory = field.default_factory
    return Option(
        name=field.name,
        of_database=of_database,
        kind=_KINDS[origin],
        type=Annotated[value_type, meta],
        choices=tuple(
            choice
            for part in (plain, *others)
            if get_origin(part) is Literal
            for choice in get_args(part)
        ),
        least=least,
        required=field.required,
        default=field.default if factory is msgspec.NODEFAULT else factory(),
        description=meta.description,
        needs=meta.extra or {},
    )


def _without_none(value_type: Any) -> list[Any]:
    """The parts of a union; a type that is none is the only part."""
    if get_origin(value_type) in (Union, types.UnionType):
        return [part for part in get_args(value_type) if part is not type(None)]
    return [value_type]


TOP_OPTIONS = options_of(Settings, of_database=False)
DATABASE_OPTIONS = options_of(DatabaseSettings, of_database=True)
LANE_OPTIONS = options_of(LaneSettings, of_database=False)
"""Those of a lane stand in the file alone."""
BUDGET_OPTIONS = options_of(BudgetSettings, of_database=False)
"""Likewise."""
OPTIONS = (*TOP_OPTIONS, *DATABASE_OPTIONS)


def register(parser: pytest.Parser) -> None:
    """Add every option to pytest's command line, in the group ``slipstream``."""
    group = parser.getgroup("slipstream", "slipstream: a clean database for every test")
    for option in OPTIONS:
        text = option.description.replace("`", "").replace("%", "%%")
        if option.kind == "switch":
            off = option.flag.replace("--", "--no-", 1)
            group.addoption(
                option.flag, dest=option.dest, action="store_true", default=None, help=text
            )
            group.addoption(off, dest=option.dest, action="store_false", help=f"Not {option.flag}.")
            continue
        group.addoption(
            option.flag,
            dest=option.dest,
            action="append",
            metavar=_metavar(option),
            default=None,
            help=text,
        )


def _metavar(option: Option) -> str:
    value = {"choice": "|".join(option.choices), "table": "KEY=VALUE"}.get(option.kind, "VALUE")
    return f"[DATABASE=]{value}" if option.of_database else value
