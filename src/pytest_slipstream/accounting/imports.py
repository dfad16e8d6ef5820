"""What imports take, each package by itself, without what it imports.

Python's import system takes a lock for each module that it loads; that lock's context manager is
replaced from `put_up` to `take_down`. The invariant: modules are found and loaded as they would be,
by the same finders and loaders, and tracebacks have no more frames than they had.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from threading import get_ident
from typing import Any

from pytest_slipstream.clock import clock

_MANAGER = "_ModuleLockManager"
_BOOTSTRAP: Any = vars(importlib)["_bootstrap"]


class Imports:
    """The imports of the thread that runs the tests.

    Args:
        charge: Takes the seconds of each import that is not part of another, and how many of them
            the processor worked.

    Attributes:
        total_s: Of all imports so far.
        packages: Seconds by top-level package, of all modules in it.
    """

    def __init__(self, charge: Callable[[float, float], None]) -> None:
        self.total_s = 0.0
        self.packages: dict[str, float] = {}
        self._charge = charge
        self._thread = get_ident()
        self._under_way: list[tuple[str, float, float]] = []
        self._inner_s = [0.0]
        self._original: Any = None
        self._replacement: Any = None

    def put_up(self) -> None:
        """Measure from now on; without effect on a Python whose import system is another."""
        original = vars(_BOOTSTRAP).get(_MANAGER)
        if not isinstance(original, type):
            return
        imports = self

        class ModuleLockManager(original):  # type: ignore[misc, valid-type]
            def __init__(self, name: str) -> None:
                super().__init__(name)
                self._of = name

            def __enter__(self) -> None:
                super().__enter__()
                imports.begin(self._of)

            def __exit__(self, *error: Any, **kwargs: Any) -> None:
                imports.end()
                super().__exit__(*error, **kwargs)

        self._original, self._replacement = original, ModuleLockManager
        setattr(_BOOTSTRAP, _MANAGER, ModuleLockManager)

    def take_down(self) -> None:
        """Put the import system back as it was."""
        if self._replacement is not None and vars(_BOOTSTRAP)[_MANAGER] is self._replacement:
            setattr(_BOOTSTRAP, _MANAGER, self._original)

    def forget(self) -> None:
        """What was imported so far is another process's."""
        self.total_s, self.packages = 0.0, {}

    def begin(self, name: str) -> None:
        """A module is being imported."""
        if get_ident() == self._thread:
            cpu = 0.0 if self._under_way else clock.processor()
            self._inner_s.append(0.0)
            self._under_way.append((name, clock.seconds(), cpu))

    def end(self) -> None:
        """It is imported, or cannot be."""
        if get_ident() != self._thread or not self._under_way:
            return
        name, began, cpu = self._under_way.pop()
        took_s = clock.seconds() - began
        package = name.partition(".")[0]
        own_s = took_s - self._inner_s.pop()
        self.packages[package] = self.packages.get(package, 0.0) + own_s
        self._inner_s[-1] += took_s
        if not self._under_way:
            self._inner_s[-1] = 0.0
            self.total_s += took_s
            self._charge(took_s, clock.processor() - cpu)
