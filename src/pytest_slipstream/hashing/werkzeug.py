"""werkzeug: scrypt and PBKDF2 with the least that they can be told in the method's name."""

from __future__ import annotations

import functools
import inspect
import re
from types import ModuleType
from typing import Any

from pytest_slipstream.hashing.cost import Cost
from pytest_slipstream.hashing.patches import Patch

# scrypt refuses less with the memory that werkzeug allows it.
_SCRYPT = "scrypt:128:1:1"
_METHOD = re.compile(r"(scrypt)(?::\d+:\d+:\d+)?|(pbkdf2:\w+|pbkdf2)(?::\d+)?")


def patches(module: ModuleType, cost: Cost) -> list[Patch]:
    """What stands in while tests run, for ``werkzeug.security``."""
    original = module.generate_password_hash
    default = inspect.signature(original).parameters["method"].default

    @functools.wraps(original)
    def generate_password_hash(
        password: str, method: str = default, *args: Any, **options: Any
    ) -> str:
        least = _least(method) if cost.is_least else None
        made: str = original(password, least or method, *args, **options)
        if least is not None:
            cost.made("werkzeug", made, made)
        return made

    return [Patch(module, "generate_password_hash", generate_password_hash)]


def _least(method: str) -> str | None:
    found = _METHOD.fullmatch(method)
    if found is None:  # the library's own error says more
        return None
    if found[1]:
        return _SCRYPT
    return f"{found[2] if ':' in found[2] else 'pbkdf2:sha256'}:1"
