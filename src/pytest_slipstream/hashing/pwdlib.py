"""pwdlib hashes through bcrypt and argon2-cffi, and itself only asks what a bcrypt hash cost."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from pytest_slipstream.hashing.cost import Cost
from pytest_slipstream.hashing.patches import Patch


def patches(module: ModuleType, cost: Cost) -> list[Patch]:
    """What stands in while tests run."""
    hasher = module.BcryptHasher
    original = hasher.check_needs_rehash

    @functools.wraps(original)
    def check_needs_rehash(self: Any, hash: Any) -> bool:
        answer: bool = original(self, cost.as_asked(hash))
        return answer

    return [Patch(hasher, "check_needs_rehash", check_needs_rehash)]
