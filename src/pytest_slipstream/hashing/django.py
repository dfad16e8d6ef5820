"""Django's hashers: PBKDF2, scrypt and Argon2; bcrypt's salts come from bcrypt itself."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from pytest_slipstream.hashing.argon2 import LEAST
from pytest_slipstream.hashing.cost import Cost
from pytest_slipstream.hashing.patches import Patch


def patches(module: ModuleType, cost: Cost) -> list[Patch]:
    """What stands in while tests run, for ``django.contrib.auth.hashers``."""
    pbkdf2, scrypt = module.PBKDF2PasswordHasher, module.ScryptPasswordHasher
    argon2, bcrypt = module.Argon2PasswordHasher, module.BCryptSHA256PasswordHasher
    return [
        Patch(pbkdf2, "encode", _encode(pbkdf2.encode, cost, ["iterations"], [1])),
        Patch(
            scrypt,
            "encode",
            _encode(
                scrypt.encode, cost, ["work_factor", None, "block_size", "parallelism"], [2, 1, 1]
            ),
        ),
        Patch(argon2, "encode", _encode_argon2(argon2.encode, cost)),
        *(
            Patch(hasher, "must_update", _must_update(hasher.must_update, cost))
            for hasher in (pbkdf2, scrypt, argon2, bcrypt)
        ),
    ]


def _encode(
    original: Callable[..., str], cost: Cost, written: list[str | None], least: list[int]
) -> Callable[..., str]:
    """An ``encode`` that is told its cost only to verify what has that cost.

    Args:
        original: The hasher's own.
        cost: Whether to be cheap.
        written: After the algorithm, the attributes that a hash has in it; None for its salt.
        least: What to pass for them.
    """

    @functools.wraps(original)
    def encode(self: Any, password: str, salt: str, *args: Any, **options: Any) -> str:
        if args or options or not cost.is_least:
            return original(self, password, salt, *args, **options)
        made = original(self, password, salt, *least)
        algorithm, *fields = made.split("$")
        for place, name in enumerate(written):
            if name is not None:
                fields[place] = str(getattr(self, name))
        cost.made("Django", made, "$".join((algorithm, *fields)))
        return made

    return encode


def _encode_argon2(original: Callable[..., str], cost: Cost) -> Callable[..., str]:
    @functools.wraps(original)
    def encode(self: Any, password: str, salt: str) -> str:
        if not cost.is_least:
            return original(self, password, salt)
        cheap = copy.copy(self)
        cheap.time_cost, cheap.memory_cost, cheap.parallelism = 1, 8, 1
        made = original(cheap, password, salt)
        full = f"m={self.memory_cost},t={self.time_cost},p={self.parallelism}"
        cost.made("Django", made, made.replace(LEAST, full))
        return made

    return encode


def _must_update(original: Callable[..., bool], cost: Cost) -> Callable[..., bool]:
    @functools.wraps(original)
    def must_update(self: Any, encoded: str) -> bool:
        return original(self, cost.as_asked(encoded))

    return must_update
