"""passlib: handlers that have rounds use the fewest that they allow; Argon2 has more than rounds.

`CryptContext` and its policies stay as they are, since they ask the handlers.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from pytest_slipstream.hashing.argon2 import LEAST
from pytest_slipstream.hashing.cost import Cost
from pytest_slipstream.hashing.patches import Patch


def patches(module: ModuleType, cost: Cost) -> list[Patch]:
    """What stands in while tests run, for ``passlib.utils.handlers``."""
    handler, with_rounds = module.GenericHandler, module.HasRounds
    hash_of = vars(handler)["hash"].__func__
    needs_update_of = vars(handler)["needs_update"].__func__
    rounds_of = vars(with_rounds)["_generate_rounds"].__func__

    @functools.wraps(rounds_of)
    def generate_rounds(cls: Any) -> int:
        rounds: int = rounds_of(cls)
        return (cls.min_rounds or 1) if cost.is_least else rounds

    @functools.wraps(hash_of)
    def hash_password(cls: Any, secret: Any, **options: Any) -> str:
        made: str = hash_of(cls, secret, **options)
        if issubclass(cls, with_rounds) and not options and cost.is_least:
            parsed = cls.from_string(made)
            parsed.rounds = rounds_of(cls)
            cost.made("passlib", made, parsed.to_string())
        return made

    @functools.wraps(needs_update_of)
    def needs_update(cls: Any, hash: Any, secret: Any = None, **options: Any) -> bool:
        answer: bool = needs_update_of(cls, cost.as_asked(hash), secret=secret, **options)
        return answer

    return [
        Patch(with_rounds, "_generate_rounds", _class_method(generate_rounds)),
        Patch(handler, "hash", _class_method(hash_password)),
        Patch(handler, "needs_update", _class_method(needs_update)),
    ]


def argon2_patches(module: ModuleType, cost: Cost) -> list[Patch]:
    """What stands in while tests run, for ``passlib.handlers.argon2``."""
    backend = module._CffiBackend
    original = vars(backend)["hash"].__func__

    @functools.wraps(original)
    def hash_password(cls: Any, secret: Any) -> str:
        if not cost.is_least:
            made: str = original(cls, secret)
            return made
        made = original(cls.using(rounds=1, memory_cost=8, parallelism=1), secret)
        full = f"m={cls.memory_cost},t={cls.default_rounds},p={cls.parallelism}"
        cost.made("passlib", made, made.replace(LEAST, full))
        return made

    return [Patch(backend, "hash", _class_method(hash_password))]


def _class_method(function: Any) -> Any:
    return classmethod(function)
