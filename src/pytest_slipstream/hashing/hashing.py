"""Cheap hashing in one process: each library is met when it is imported.

The invariant: afterwards every library is what it was, and what the application kept of the
stand-ins hashes at full cost.
"""

from __future__ import annotations

import importlib
import sys
from functools import partial
from types import ModuleType
from typing import Any

from pytest_slipstream.hashing.cost import Cost
from pytest_slipstream.hashing.patches import Patch
from pytest_slipstream.import_hook import ImportHook

LIBRARIES = {
    "bcrypt": ("bcrypt", "patches"),
    "argon2": ("argon2", "patches"),
    "pwdlib.hashers.bcrypt": ("pwdlib", "patches"),
    "passlib.utils.handlers": ("passlib", "patches"),
    "passlib.handlers.argon2": ("passlib", "argon2_patches"),
    "werkzeug.security": ("werkzeug", "patches"),
    "django.contrib.auth.hashers": ("django", "patches"),
}
"""Modules, and which file here has which function for them."""


class CheapHashing:
    """Stands in for what libraries hash passwords with, from `put_up` to `take_down`."""

    def __init__(self) -> None:
        self.cost = Cost()
        self._patched: list[tuple[Patch, Any]] = []
        self._hook = ImportHook({name: partial(self._meet, name) for name in LIBRARIES})

    def put_up(self) -> None:
        """Replace what is there, and the rest when it is imported."""
        self._hook.put_up()
        for patch, original in tuple(self._patched):  # of what was there
            for holder, name in _taken(original):
                self._put(Patch(holder, name, patch.replacement), original)

    def take_down(self) -> None:
        """Put everything back."""
        self.cost.restore()
        self._hook.take_down()
        while self._patched:
            patch, original = self._patched.pop()
            setattr(patch.holder, patch.name, original)

    def _meet(self, name: str, module: ModuleType) -> None:
        file, function = LIBRARIES[name]
        of_library = importlib.import_module(f"pytest_slipstream.hashing.{file}")
        try:
            patches: list[Patch] = getattr(of_library, function)(module, self.cost)
            originals = [vars(patch.holder)[patch.name] for patch in patches]
        except (AttributeError, KeyError, TypeError) as error:
            # A version whose inside is not as expected hashes as dearly as ever.
            self.cost.left_alone(name, f"{type(error).__name__}: {error}")
            return
        for patch, original in zip(patches, originals, strict=True):
            self._put(patch, original)

    def _put(self, patch: Patch, original: Any) -> None:
        setattr(patch.holder, patch.name, patch.replacement)
        self._patched.append((patch, original))


def _taken(function: Any) -> list[tuple[ModuleType, str]]:
    """Where modules keep a function under a name of their own: who has imported it before pytest's
    plugins could do anything, as a warning's category in ``-W`` has it done."""
    return [
        (module, name)
        for module in list(sys.modules.values())
        if isinstance(module, ModuleType)
        for name, value in list(vars(module).items())
        if value is function
    ]
