"""Calls back right after a module was imported for the first time, whoever imports it.

The invariant: the import itself is what it would be without this; the module's own spec and loader
do it, and stay the module's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class ImportHook(MetaPathFinder):
    """Waits for modules from `put_up` to `take_down`.

    Args:
        waiting: Names of modules, and what is called with each.
    """

    def __init__(self, waiting: Mapping[str, Callable[[ModuleType], None]]) -> None:
        self._waiting = dict(waiting)
        self._asked: set[str] = set()

    def put_up(self) -> None:
        """Call back for the modules that are there; wait for the others."""
        for name in tuple(self._waiting):
            if name in sys.modules:
                self._waiting.pop(name)(sys.modules[name])
        sys.meta_path.insert(0, self)

    def take_down(self) -> None:
        """Wait no more."""
        self._waiting.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the finders after this one give, with a loader that then calls back."""
        if fullname not in self._waiting or fullname in self._asked:
            return None
        self._asked.add(fullname)
        try:
            for finder in self._others():
                spec: ModuleSpec | None = finder.find_spec(fullname, path, target)
                if spec is not None:
                    self._follow(spec)
                    return spec
            return None
        finally:
            self._asked.remove(fullname)

    def _others(self) -> list[Any]:
        """The finders after this one; all, where the application has put this one into its own."""
        finders = list(sys.meta_path)
        after = finders.index(self) + 1 if self in finders else 0
        return [finder for finder in finders[after:] if hasattr(finder, "find_spec")]

    def _follow(self, spec: ModuleSpec) -> None:
        """Shadow ``exec_module`` on the loader itself, so that it is otherwise the same object."""
        loader = spec.loader
        if loader is None or not hasattr(loader, "exec_module"):
            return
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            if module.__name__ == spec.name:  # one loader may load many modules (zipimport)
                vars(loader).pop("exec_module", None)
                call_back = self._waiting.pop(spec.name, None)
                if call_back is not None:
                    call_back(module)

        try:
            loader.exec_module = exec_module  # type: ignore[method-assign]
        except AttributeError:  # a loader without a __dict__: the driver stays as it is
            return
