"""``module:object`` sources: find the object, tell its kind, make the schema or call it.

The kind is told by what the object is, without importing SQLAlchemy or Peewee: an object can only
be a MetaData or a model when its library is loaded already.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from itertools import groupby
from types import ModuleType
from typing import TYPE_CHECKING, TypeGuard

from pytest_slipstream.databases.sources import models
from pytest_slipstream.databases.sources.forms import ObjectSource
from pytest_slipstream.errors import TemplateError

if TYPE_CHECKING:
    from sqlalchemy import MetaData


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def load(source: ObjectSource) -> object:
    """Import the module and follow the attribute path.

    Raises:
        TemplateError: when the module does not import or has no such attribute.
    """
    try:
        value: object = importlib.import_module(source.module)
    except (Exception, SystemExit) as error:
        raise TemplateError(
            f"{source}: module {source.module!r} does not import: {summary(error)}",
            hint=_import_hint(source, error),
        ) from error
    if source.attribute == "*":
        return value
    seen = f"module {source.module!r}"
    for name in source.attribute.split("."):
        try:
            value = getattr(value, name)
        except AttributeError as error:
            near = difflib.get_close_matches(name, dir(value), n=3)
            listed = ", ".join(repr(candidate) for candidate in near)
            raise TemplateError(
                f"{source}: {seen} has no attribute {name!r}",
                hint=f"near names: {listed}" if near else None,
            ) from error
        seen += f"'s {name!r}"
    return value


def _import_hint(source: ObjectSource, error: BaseException) -> str | None:
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing and (source.module + ".").startswith(missing + "."):
        return (
            "modules are looked for from the root directory and in pytest's `pythonpath`: for a "
            "package under src/ write `pythonpath = ['src']`, or install the project"
        )
    return f"install {missing} where pytest runs" if missing else None


def loaded(source: ObjectSource) -> object | None:
    """The object when its module has been imported and has it; nothing is imported."""
    value: object = sys.modules.get(source.module)
    for name in source.attribute.split(".") if source.attribute != "*" else ():
        value = getattr(value, name, None)
    return value


def parts(value: object) -> Iterator[object]:
    """What ``value`` consists of, in order: MetaData, models, callables, None for any other kind.

    Models that follow one another are one part: their order is that of their foreign keys.
    """
    if isinstance(value, list | tuple):
        for are_models, items in groupby(value, models.is_model):
            if are_models:
                yield models.Models(
                    tuple(each for item in items for each in models.of(item).classes)
                )
            else:
                for item in items:
                    yield from parts(item)
        return
    metadata = _metadata(value)
    if metadata is not None:
        yield metadata
    elif models.is_model(value) or (isinstance(value, ModuleType) and "peewee" in sys.modules):
        yield models.of(value)
    else:
        yield value if callable(value) else None


def _metadata(value: object) -> MetaData | None:
    sqlalchemy = sys.modules.get("sqlalchemy")
    if sqlalchemy is None:
        return None
    for candidate in (value, getattr(value, "metadata", None)):
        if isinstance(candidate, sqlalchemy.MetaData):
            return candidate  # type: ignore[no-any-return]
    return None


def is_metadata(part: object) -> TypeGuard[MetaData]:
    """Whether a part makes a schema by ``create_all``; otherwise it is called."""
    return part is not None and _metadata(part) is part


def bind(source: ObjectSource, function: Callable[..., object], url: str) -> Callable[[], object]:
    """The call of ``function``: with the URL when it takes one, else without arguments.

    It takes one when its first positional parameter has no default or is called ``url``.

    Raises:
        TemplateError: when it needs more than the URL.
    """
    try:
        signature = inspect.signature(function)
    except ValueError:  # a built-in that does not tell
        return lambda: function(url)
    first = next(iter(signature.parameters.values()), None)
    takes_url = first is not None and (
        first.kind is first.VAR_POSITIONAL
        or (first.kind in _POSITIONAL and first.default is first.empty)
        or (first.kind in _POSITIONAL and first.name.endswith("url"))
    )
    arguments = (url,) if takes_url else ()
    try:
        signature.bind(*arguments)
    except TypeError as error:
        raise TemplateError(
            f"{source}: it is called with the database's URL alone, and its parameters are "
            f"{signature}",
            hint="name a function of one parameter, the URL, that calls this one",
        ) from error
    return lambda: function(*arguments)


def summary(error: BaseException) -> str:
    """An exception in one line, with the user's line that raised it."""
    text = traceback.format_exception_only(type(error), error)[-1].strip()
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _is_foreign(frame.filename)]
    return f"{text} ({own[-1].filename}:{own[-1].lineno})" if own else text


def _is_foreign(filename: str) -> bool:
    return (
        filename.startswith("<")
        or "site-packages" in filename
        or filename == importlib.__file__
        or filename == __file__
    )
