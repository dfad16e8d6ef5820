"""Calls of other modules that are replaced while a run lasts, each when its module is imported.

The invariant: afterwards each is what it was; what somebody else put in its place meanwhile stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from operator import attrgetter
from types import ModuleType
from typing import Any

from pytest_slipstream.import_hook import ImportHook


class Replaced:
    """Replaces calls from `put_up` to `take_down`.

    Args:
        calls: For each module its calls, as ``Class.method`` or ``function``, each with a word that
            ``around`` knows. One that another version of the module has not is left out.
        around: Makes the replacement of the original, and of the word.
    """

    def __init__(
        self, calls: Mapping[str, Mapping[str, str]], around: Callable[[Any, str], Any]
    ) -> None:
        self._around = around
        self._hook = ImportHook({name: partial(self._meet, own) for name, own in calls.items()})
        self._made: list[tuple[Any, str, Any, Any]] = []

    def put_up(self) -> None:
        """Replace the calls of modules that are there, and of others when they are imported."""
        self._hook.put_up()

    def take_down(self) -> None:
        """Put everything back."""
        self._hook.take_down()
        while self._made:
            holder, name, original, replacement = self._made.pop()
            if vars(holder).get(name) is replacement:
                setattr(holder, name, original)

    def _meet(self, calls: Mapping[str, str], module: ModuleType) -> None:
        if type(module) is not ModuleType:  # one that is loaded when it is looked into, maybe
            return
        made: dict[int, Any] = {}  # what has two names is one thing afterwards, too
        for path, word in calls.items():
            outer, _, name = path.rpartition(".")
            try:
                holder = attrgetter(outer)(module) if outer else module
                original = vars(holder)[name]
                if id(original) not in made:
                    made[id(original)] = self._around(original, word)
                replacement = made[id(original)]
                setattr(holder, name, replacement)
            except Exception:  # noqa: BLE001 - a module of the project's own under a library's name
                continue
            self._made.append((holder, name, original, replacement))
