"""bcrypt: the cost is in the salt, so a salt of least cost is all that it takes.

passlib, pwdlib, Django and Flask-Bcrypt take their salts here or make cheap ones themselves.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from pytest_slipstream.hashing.cost import Cost
from pytest_slipstream.hashing.patches import Patch

_LEAST = b"04"


def patches(module: ModuleType, cost: Cost) -> list[Patch]:
    """What stands in while tests run."""
    original = module.gensalt

    @functools.wraps(original)
    def gensalt(*args: Any, **options: Any) -> bytes:
        salt: bytes = original(*args, **options)
        if not cost.is_least:
            return salt
        cheap = salt[:4] + _LEAST + salt[6:]
        cost.made("bcrypt", cheap.decode(), salt.decode())
        return cheap

    return [Patch(module, "gensalt", gensalt)]
