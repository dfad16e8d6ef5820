"""Whether hashing is cheap now, and what cost a cheap hash stands for.

A test that asks about the cost itself is left alone: its own source says so, by the words that the
libraries have for it. The invariant: outside a run of pytest, and in such a test, nothing is cheap.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Generator
from typing import TypeVar

import pytest

from pytest_slipstream import events

_ABOUT_COST = re.compile(
    r"rounds|iterations|(?:time|memory|work)_?(?:cost|factor)|parallelism"
    r"|needs?_?(?:rehash|update)|must_update|verify_and_update|upgrade"
    r"|\$2[abxy]?\\*\$|\$\d\d\\*\$|\$argon2|\$?pbkdf2[-_:]|\$?scrypt[$:]|\$[56]\$",
    re.IGNORECASE,
)
_BCRYPT_SALT = re.compile(r"\$2[abxy]\$\d\d\$.{22}")
_ARGON2 = re.compile(r"\$argon2.*")
_T = TypeVar("_T", str, bytes)


class Cost:
    """Shared by all libraries of a run; cheap from the start until `restore`."""

    def __init__(self) -> None:
        self._is_over = False
        self._item: pytest.Item | None = None
        self._verdicts: dict[object, bool] = {}
        self._full: dict[str, str] = {}
        self._times: Counter[str] = Counter()
        self._left_alone: dict[str, str] = {}

    @property
    def is_least(self) -> bool:
        """Whether a password that is hashed now is hashed at least cost."""
        if self._is_over:
            return False
        if self._item is None:  # while modules are imported
            return True
        function = getattr(self._item, "function", None)
        if function not in self._verdicts:
            self._verdicts[function] = not is_about_cost(function)
        return self._verdicts[function]

    def made(self, library: str, cheap: str, full: str) -> None:
        """A hash was made; ``full`` is the same with the cost that was asked for written in it.

        Of bcrypt's, the part before the checksum is enough.
        """
        self._times[library] += 1
        self._full[cheap] = full

    def as_asked(self, made: _T) -> _T:
        """A hash with the cost that was asked for; one that was not made here is not changed.

        Neither is what is no hash at all: the library says so in its own words.
        """
        if isinstance(made, bytes):
            return self.as_asked(made.decode("latin-1")).encode("latin-1")
        if not isinstance(made, str):
            return made
        if made in self._full:
            return self._full[made]
        for inner in (_BCRYPT_SALT.search(made), _ARGON2.search(made)):
            if inner is not None and inner[0] in self._full:
                return made.replace(inner[0], self._full[inner[0]])
        return made

    def left_alone(self, module: str, reason: str) -> None:
        """A library is not as expected, and hashes at full cost."""
        self._left_alone[module] = reason

    def restore(self) -> None:
        """Hash at full cost from now on; the application may keep what stood in."""
        self._is_over = True

    def report(self, emit: Callable[[events.Event], None]) -> None:
        """Tell how many hashes were cheap, and what was left alone."""
        for library, times in self._times.items():
            emit(events.HashedCheaply(library=library, times=times))
        for module, reason in self._left_alone.items():
            emit(events.HashingLeftAlone(what=module, reason=reason))
        for function, is_cheap in self._verdicts.items():
            if not is_cheap:
                name = getattr(function, "__qualname__", "a test without a function")
                emit(events.HashingLeftAlone(what=name, reason="its source speaks of the cost"))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """From before its first fixture to after its last finalizer the test decides."""
        self._item = item
        try:
            return (yield)
        finally:
            self._item = None


def is_about_cost(function: Callable[..., object] | None) -> bool:
    """Whether a test's source speaks of what a password hash costs; also where there is none."""
    if function is None:
        return True
    try:
        return _ABOUT_COST.search(inspect.getsource(function)) is not None
    except (OSError, TypeError):
        return True
