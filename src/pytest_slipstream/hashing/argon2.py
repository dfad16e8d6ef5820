"""argon2-cffi: `PasswordHasher` with the least time, memory and parallelism.

A hash with a salt of the caller's own is left alone: it may have to come out the same as elsewhere.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from pytest_slipstream.hashing.cost import Cost
from pytest_slipstream.hashing.patches import Patch

LEAST = "m=8,t=1,p=1"


def patches(module: ModuleType, cost: Cost) -> list[Patch]:
    """What stands in while tests run."""
    hasher = module.PasswordHasher
    original, needs_rehash = hasher.hash, hasher.check_needs_rehash

    @functools.wraps(original)
    def hash_password(self: Any, password: Any, **options: Any) -> str:
        if options.get("salt") is not None or not cost.is_least:
            made: str = original(self, password, **options)
            return made
        cheap = hasher(1, 8, 1, self.hash_len, self.salt_len, self.encoding, self.type)
        made = original(cheap, password, **options)
        full = f"m={self.memory_cost},t={self.time_cost},p={self.parallelism}"
        cost.made("argon2-cffi", made, made.replace(LEAST, full))
        return made

    @functools.wraps(needs_rehash)
    def check_needs_rehash(self: Any, hash: Any) -> bool:
        answer: bool = needs_rehash(self, cost.as_asked(hash))
        return answer

    return [
        Patch(hasher, "hash", hash_password),
        Patch(hasher, "check_needs_rehash", check_needs_rehash),
    ]
