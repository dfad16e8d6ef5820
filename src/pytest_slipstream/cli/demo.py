"""``slipstream demo``: one suite as teams write it today, then with slipstream, on each engine.

The hand-written way gets the same server, with the same fast settings, already started, and for
SQLite a file on the same RAM disk: what differs is only how the database is made clean.
"""

from __future__ import annotations

import enum
import importlib.util
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pytest_slipstream.cli.demo_runs import CONFIGURATION, Measured, Suite, evenly
from pytest_slipstream.databases import engines, naming, urls
from pytest_slipstream.databases.cache import VARIABLE, cache_directory
from pytest_slipstream.databases.engines.protocol import Owner
from pytest_slipstream.errors import MissingExtraError, SlipstreamError
from pytest_slipstream.settings import DatabaseSettings

AUDITED = 20
_NEEDED = ("sqlalchemy", "psycopg")
_RAM_DISK = Path("/dev/shm")
_FAIRNESS = {
    "sqlite": "On SQLite both ways had their files on the RAM disk, where there is one.",
    "postgresql": "On PostgreSQL both ways used one server, already started, with fsync off.",
}
_TITLES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


class Engines(str, enum.Enum):
    """What ``--engine`` takes."""

    sqlite = "sqlite"
    postgresql = "postgresql"
    all = "all"


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One engine's figures."""

    engine: str
    tests: int
    before: Measured
    after: Measured
    audited: Measured


Bar = Callable[[str, int], Callable[[], None]]
"""Opens a bar for so many tests; the result is called after each test."""


def demo(
    tests: Annotated[
        int, typer.Option(min=2, help="How many of the suite's 200 tests to run.")
    ] = 200,
    engine: Annotated[
        Engines, typer.Option(help="Which database product to run them on.")
    ] = Engines.all,
) -> None:
    """Run a suite as teams write it today, then with slipstream, and compare the seconds."""
    _check_installed()
    console = Console()
    chosen = ["sqlite", "postgresql"] if engine is Engines.all else [engine.value]
    console.print(
        "A small shop: 23 tables, SQLAlchemy, real commits. Each test gets a clean database, first "
        "by create_all and drop_all around every test, then by slipstream.\n"
    )
    with tempfile.TemporaryDirectory(prefix="slipstream-demo-") as directory:
        with _bars(console) as bar:
            compared = [_compare(name, Path(directory), tests, bar) for name in chosen]
    _print(console, compared)


def _check_installed() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"the demo needs {' and '.join(missing)}, and cannot import it",
            hint='pip install "pytest-slipstream[demo]"',
        )


@contextmanager
def _bars(console: Console) -> Iterator[Bar]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:

        def bar(title: str, total: int) -> Callable[[], None]:
            task = progress.add_task(title, total=total or None)
            return lambda: progress.advance(task)

        yield bar


def _compare(engine: str, directory: Path, wanted: int, bar: Bar) -> Comparison:
    suite, title = Suite(directory, engine), _TITLES[engine]
    tests = evenly(suite.collect(), wanted)
    cache = cache_directory(None, os.environ)
    environ = {VARIABLE: str(cache)}
    with _empty_database(engine, cache, directory, bar) as url:
        on_result = bar(f"{title}, as teams write it today", len(tests))
        before = _passed(suite.run(tests, on_result, url=url), len(tests))
        suite.adopt_slipstream()
        on_result = bar(f"{title}, with slipstream", len(tests))
        after = _passed(suite.run(tests, on_result, environ=environ), len(tests))
        some = evenly(tests, AUDITED)
        on_result = bar(f"{title}, each test audited", len(some))
        options = ("--slipstream-audit",)
        audited = _passed(suite.run(some, on_result, options=options, environ=environ), len(some))
    return Comparison(engine=engine, tests=len(tests), before=before, after=after, audited=audited)


@contextmanager
def _empty_database(engine: str, cache: Path, directory: Path, bar: Bar) -> Iterator[str]:
    """The URL of a database for the hand-written way, on the server that slipstream will use."""
    if engine == "sqlite":
        shared = _RAM_DISK if os.access(_RAM_DISK, os.W_OK | os.X_OK) else directory
        with tempfile.TemporaryDirectory(prefix="slipstream-demo-", dir=shared) as ram:
            yield f"sqlite:///{ram}/shop.db"
        return
    owner = Owner(testrun_uid=uuid.uuid4().hex, worker="main")
    settings = DatabaseSettings(engine="postgresql")
    opened = engines.load("demo", settings, cache_dir=cache, owner=owner)
    build = naming.template_name("demo", owner.testrun_uid)
    ready = bar("PostgreSQL, its server", 1)
    try:
        opened.open(lambda message: None)
        with opened.build_lock(build):
            address = opened.begin_build(build)
            ready()
            try:
                yield urls.url(address)
            finally:
                opened.abandon_build(build)
    finally:
        opened.close()


def _passed(run: Measured, expected: int) -> Measured:
    if run.exit_code != 0 or run.results != expected:
        raise SlipstreamError(
            f"the demo's pytest run ended with exit code {run.exit_code} after {run.results} of "
            f"{expected} tests; its last lines were:\n" + "\n".join(run.output.splitlines()[-40:])
        )
    return run


def _print(console: Console, compared: list[Comparison]) -> None:
    console.print()
    console.print(_figures(compared))
    console.print()
    cleaning = " and ".join(
        f"{one.after.cleaning_s * 1000:.2f} ms on {_TITLES[one.engine]}" for one in compared
    )
    console.print(
        f"Making the database clean took slipstream {cleaning} (median); the rest of a test's "
        "time is its own work and pytest's. The whole run has the template in it."
    )
    for one in compared:
        console.print(_FAIRNESS[one.engine])
    audited = sum(one.audited.results for one in compared)
    console.print(
        f"Isolation: {audited} tests ran once more with --slipstream-audit. After each one, every "
        "row, sequence and object of its database was compared with the template: equal.\n"
    )
    console.print("What changed: the fixture with create_all and drop_all was deleted, and this")
    console.print("was added to pyproject.toml; no test was touched:")
    console.print(CONFIGURATION.format(engine=compared[-1].engine), style="cyan", markup=False)
    console.print("Next: [bold]slipstream init[/] in your project; it writes such a table for you.")


def _figures(compared: list[Comparison]) -> Table:
    table = Table(title="The same tests, the same server, measured just now", title_style="bold")
    table.add_column("")
    for heading in ("tests", "as today", "slipstream", "times as fast"):
        table.add_column(heading, justify="right")
    for one in compared:
        before, after = one.before, one.after
        table.add_row(
            f"{_TITLES[one.engine]}, whole run",
            str(one.tests),
            f"{before.seconds:.2f} s",
            f"{after.seconds:.2f} s",
            f"{before.seconds / after.seconds:.1f}",
        )
        table.add_row(
            "  each test",
            "",
            f"{before.seconds_a_test * 1000:.1f} ms",
            f"{after.seconds_a_test * 1000:.1f} ms",
            f"[bold green]{before.seconds_a_test / after.seconds_a_test:.1f}[/]",
            end_section=True,
        )
    return table
