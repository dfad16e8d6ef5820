"""A library's operations until there is something to memoise.

The invariant: who imports a library, and calls none of its operations more often than is worth it,
does not even pay for the import of what memoises.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakSet

Replaced = Callable[..., Any]


class FirstCalls:
    """Stands in for methods from `put_up` until one is called, or `take_down`.

    Args:
        holder: The class that has them.
        names: What they are called.
        follow: Has them replaced by those that memoise; called once.
        spares: Takes a method's name and what it is called on; where it is true the method runs as
            it is written, and this stays in place.
    """

    def __init__(
        self,
        holder: type,
        names: Sequence[str],
        follow: Callable[[], None],
        spares: Callable[[str, Any], bool] = lambda name, called_on: False,
    ) -> None:
        self._holder = holder
        self._names = names
        self._follow = follow
        self._spares = spares
        self._originals: dict[str, Replaced] = {}
        self._following = threading.RLock()

    def put_up(self) -> None:
        """Replace the methods."""
        for name in self._names:
            self._originals[name] = original = vars(self._holder)[name]
            setattr(self._holder, name, self._replacement(name, original))

    def take_down(self) -> None:
        """Put them back, if they have not been followed."""
        while self._originals:
            setattr(self._holder, *self._originals.popitem())

    def _replacement(self, name: str, original: Replaced) -> Replaced:
        @functools.wraps(original)
        def first(called_on: Any, *args: Any, **options: Any) -> Any:
            if self._spares(name, called_on):
                return original(called_on, *args, **options)
            with self._following:
                if self._originals:
                    self.take_down()
                    self._follow()
            return vars(self._holder)[name](called_on, *args, **options)

        return first


class Seen:
    """On which objects each method was called: most metadatas are created once in a run, and
    dropped once."""

    def __init__(self) -> None:
        self._of: dict[str, WeakSet[Any]] = {}

    def is_new(self, name: str, called_on: Any) -> bool:
        """Whether it is the first time; it is not at the next."""
        seen = self._of.setdefault(name, WeakSet())
        is_new = called_on not in seen
        seen.add(called_on)
        return is_new
