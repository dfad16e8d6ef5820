"""The objects of a library's classes that exist in this process now."""

from __future__ import annotations

import gc
from typing import TypeVar

_T = TypeVar("_T")


def live(kind: type[_T]) -> list[_T]:
    """All objects of ``kind`` and of its subclasses.

    By type() alone: a lazy object's ``__class__`` may be code that does work.
    """
    kinds = {kind}
    waiting = [kind]
    while waiting:
        below = type.__subclasses__(waiting.pop())
        kinds.update(below)
        waiting += below
    return [found for found in gc.get_objects() if type(found) in kinds]
