"""Factories give each test the same data: on every worker, in every order, and when it runs alone.

`random`, Faker, factory_boy and polyfactory draw from generators of the whole process, count, and
remember which unique values they gave; so what a test gets depends on the tests before it. The
generators are seeded for each test, and for each wider fixture, from its own id. The invariant: a
wider fixture changes nothing for the tests that use it, but that what it counted and gave stays
taken for as long as it lives, since its rows do. Libraries that nobody has imported are not.
"""

from __future__ import annotations

import gc
import hashlib
import sys
import sysconfig
from collections.abc import Generator, Iterator, Sequence
from functools import cache
from typing import Any

import msgspec
import pytest

# Where the libraries keep their generator; `random` itself is one.
_GENERATORS = (
    ("random", None),
    ("faker.generator", "random"),
    ("factory.random", "randgen"),
    ("polyfactory.constants", "DEFAULT_RANDOM"),
)


class Taken(msgspec.Struct, frozen=True):
    """What cannot be given again.

    ``counts`` is factory_boy's next number for each factory's options; ``seen`` is what each of
    Faker's ``unique`` has given.
    """

    counts: dict[Any, int]
    seen: dict[Any, dict[Any, set[Any]]]


class SeededFactories:
    """Registered once for each process that runs tests, unless the option says otherwise.

    Args:
        worker: Its name. Fixtures of other plugins are seeded from it, too: their random values are
            ports and names that workers must not share.
    """

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._taken: list[tuple[pytest.FixtureDef[object] | None, Taken]] = []
        self._unique: list[Any] | None = None
        self._modules: set[str] = set()

    def continue_as(self, worker: str) -> None:
        """In a forked process: draw other values for ports and names."""
        self._worker = worker

    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        """Tests that are parametrised with made data have the same ids on every worker."""
        if isinstance(collector, pytest.Module):
            _seed(collector.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Begin anew, above what is taken."""
        if not self._taken:
            self._taken.append((None, self._take()))
        self._put_back(self._taken[-1][1])
        _seed(item.nodeid)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
    ) -> Generator[None, Any, Any]:
        """A wider fixture gets its own data, whichever test is the first to use it."""
        __tracebackhide__ = True
        if fixturedef.scope == "function":
            return (yield)
        before = self._take()
        states = [(generator, generator.getstate()) for generator in _generators()]
        name = f"{request.node.nodeid}::{fixturedef.argname}[{getattr(request, 'param_index', 0)}]"
        module = sys.modules.get(getattr(fixturedef.func, "__module__", ""))
        _seed(name if _is_of_the_project(module) else f"{name} on {self._worker}")
        try:
            return (yield)
        finally:
            taken = self._take()
            if taken != before:
                self._taken.append((fixturedef, taken))
            for generator, state in states:
                generator.setstate(state)

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[object]) -> None:
        """Its rows are gone, and what it took is free for the next, with another parameter."""
        alive = [pair for pair in self._taken if pair[0] is not fixturedef]
        if alive and len(alive) < len(self._taken):
            self._taken = alive
            self._put_back(alive[-1][1])

    def _take(self) -> Taken:
        return Taken(
            counts={
                options: options._counter.seq
                for options in _factory_options()
                if getattr(options, "_counter", None) is not None
            },
            seen={
                unique: {call: set(given) for call, given in unique._seen.items()}
                for unique in self._all_unique()
                if unique._seen
            },
        )

    def _put_back(self, taken: Taken) -> None:
        for options in _factory_options():
            if options in taken.counts:
                options._counter.seq = taken.counts[options]
            else:
                options._counter = None  # it begins with the factory's own first number
        for unique in self._all_unique():
            seen = taken.seen.get(unique, {})
            unique._seen.clear()
            unique._seen.update({call: set(given) for call, given in seen.items()})

    def _all_unique(self) -> Sequence[Any]:
        """Faker's ``unique`` objects; nobody lists them.

        They are looked for at first, and when a module of the project's has been imported since.
        """
        faker = sys.modules.get("faker.proxy")
        if faker is None or len(sys.modules) == len(self._modules):
            return self._unique or ()
        new, self._modules = sys.modules.keys() - self._modules, set(sys.modules)
        if self._unique is None or any(_is_of_the_project(sys.modules[name]) for name in new):
            self._unique = [each for each in gc.get_objects() if type(each) is faker.UniqueProxy]
        return self._unique


@cache
def _libraries() -> tuple[str, ...]:
    return tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))


def _is_of_the_project(module: object) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and not file.startswith(_libraries())


def _generators() -> Iterator[Any]:
    for name, attribute in _GENERATORS:
        module = sys.modules.get(name)
        if module is not None:
            generator = module if attribute is None else getattr(module, attribute, None)
            if generator is not None:
                yield generator


def _seed(name: str) -> None:
    digest = hashlib.sha256(name.encode()).digest()
    for generator in _generators():
        generator.seed(int.from_bytes(digest[:8], "big"))


def _factory_options() -> Iterator[Any]:
    """The options of every factory of factory_boy, where its counter is."""
    module = sys.modules.get("factory.base")
    classes = [module.Factory] if module is not None else []
    while classes:
        factory = classes.pop()
        classes.extend(factory.__subclasses__())
        yield factory._meta
