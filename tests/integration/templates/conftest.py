"""A project of a test's own, and its template on each engine."""

from __future__ import annotations

import sys
import textwrap
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_slipstream.databases import engines, naming, templates
from pytest_slipstream.databases.engines.protocol import Engine, Owner
from pytest_slipstream.events import Event, TemplateCollected, TemplateReady
from pytest_slipstream.settings import DatabaseSettings


class Bench:
    """One configured database of a project in ``root``, its server open.

    ``key`` is the test's own, because tests share a PostgreSQL server.
    """

    def __init__(self, root: Path, cache_dir: Path, engine_name: str) -> None:
        self.root = root
        self.key = f"d{uuid.uuid4().hex[:10]}"
        self.settings = DatabaseSettings(engine=engine_name)  # type: ignore[arg-type]
        self.cache_dir = cache_dir
        self.owner = Owner(testrun_uid=uuid.uuid4().hex, worker="main")
        self.say: Callable[[str], object] = lambda message: None
        self.events: list[Event] = []

    def configure(self, **options: Any) -> None:
        """Set options of the database."""
        self.settings = msgspec.structs.replace(self.settings, **options)

    def write(self, files: dict[str, str]) -> None:
        """Write files by their path."""
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """The engine, open."""
        engine = engines.load(self.key, self.settings, cache_dir=self.cache_dir, owner=self.owner)
        self.identity = engine.open(self.say).identity
        try:
            yield engine
        finally:
            engine.close()

    def ready_on(self, engine: Engine) -> str:
        """Get or build the template."""
        return templates.ready(
            engine,
            self.key,
            self.settings,
            self.identity,
            rootdir=self.root,
            cache_dir=self.cache_dir,
            progress=self.say,
            emit=self.events.append,
        )

    def ready(self) -> str:
        """Get or build the template, as a run of its own would: modules are loaded anew."""
        forget_modules(self.root)
        with self.engine() as engine:
            return self.ready_on(engine)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows that a slot made from the template holds."""
        with self.engine() as engine:
            name = naming.slot_name(self.owner.testrun_uid, self.owner.worker, self.key)
            slot = engine.create_slot(name, self.ready_on(engine))
            connection = engine.connect(slot.address)
            try:
                return [tuple(row) for row in connection.cursor().execute(sql).fetchall()]
            finally:
                connection.close()
                slot.close()

    @property
    def built(self) -> list[bool]:
        """Of each time the template was ready, whether it was built then."""
        return [event.built for event in self.events if isinstance(event, TemplateReady)]

    @property
    def collected(self) -> list[str]:
        """The templates that were dropped."""
        return [event.template for event in self.events if isinstance(event, TemplateCollected)]


def forget_modules(root: Path) -> None:
    """Let modules below ``root`` be imported again."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        path = [str(entry) for entry in getattr(module, "__path__", ())]
        if any(place.startswith(f"{root}/") for place in (file, *path)):
            del sys.modules[name]


@pytest.fixture(params=["sqlite", "postgresql"])
def engine_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def bench(
    engine_name: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: Any
) -> Generator[Bench, None, None]:
    """An empty project."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    cache_dir = tmp_path / "cache"
    if engine_name == "postgresql":
        request.getfixturevalue("require_servers")
        cache_dir = request.getfixturevalue("shared_cache_dir")
    root = tmp_path / "project"
    root.mkdir()
    bench = Bench(root, cache_dir, engine_name)
    yield bench
    forget_modules(root)
    with bench.engine() as engine:
        templates.collect(engine, bench.key, 1, in_use="")
