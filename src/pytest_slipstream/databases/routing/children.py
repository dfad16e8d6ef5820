"""The environment of a child process, which no door of this process can route.

The invariant: a variable that names the slot of the configuration names the test's own in the
child.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_slipstream.databases.routing.entrance import Entrance

_ENV_POSITION = 10  # of subprocess.Popen


def variables_of_child(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], entrances: Iterable[Entrance]
) -> dict[str, Any]:
    """The keyword arguments for `subprocess.Popen`.

    Args:
        args: The positional ones.
        kwargs: The keyword arguments as they were given.
        entrances: Those of the test's slots.
    """
    names = _names(entrances)
    if not names or len(args) > _ENV_POSITION:
        return dict(kwargs)
    given = kwargs.get("env")
    environment = dict(os.environ if given is None else given)
    return {**kwargs, "env": renamed(environment, names)}


@contextmanager
def inherited(entrances: Iterable[Entrance]) -> Iterator[None]:
    """Processes that `multiprocessing` spawns meanwhile inherit variables that name the test's own.

    Only they see it: `os.environ` stays as it is.
    """
    names = _names(entrances)
    before = dict(os.environ) if names else {}
    changed = {key: new for key, new in renamed(before, names).items() if new != before[key]}
    for key, new in changed.items():
        os.putenv(key, new)
    try:
        yield
    finally:
        for key in changed:
            os.putenv(key, before[key])


def _names(entrances: Iterable[Entrance]) -> list[tuple[str, str]]:
    return [(one.home.address.database, one.address.database) for one in entrances if one.number]


def renamed(environment: Mapping[Any, Any], names: Iterable[tuple[str, str]]) -> dict[Any, Any]:
    """An environment in which each name that stands first is exchanged for the second."""
    found = dict(environment)
    for old, new in names:
        for key, value in found.items():
            if isinstance(value, bytes):
                found[key] = value.replace(os.fsencode(old), os.fsencode(new))
            elif isinstance(value, str):
                found[key] = value.replace(old, new)
    return found
