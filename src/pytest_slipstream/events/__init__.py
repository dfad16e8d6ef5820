"""What happens in a run, as frozen values: the only thing reports are made from.

Seconds are wall-clock durations; ``worker`` is a worker's id or ``main``; node ids are pytest's.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from pytest_slipstream.events.event import Event as Event
from pytest_slipstream.events.measured import MADE_ONCE as MADE_ONCE
from pytest_slipstream.events.measured import AsyncTestRan as AsyncTestRan
from pytest_slipstream.events.measured import BudgetBroken as BudgetBroken
from pytest_slipstream.events.measured import LoopBlocked as LoopBlocked
from pytest_slipstream.events.measured import MemorySeen as MemorySeen
from pytest_slipstream.events.measured import ProcessTimed as ProcessTimed
from pytest_slipstream.events.measured import StatementsTimed as StatementsTimed
from pytest_slipstream.events.measured import TestTimed as TestTimed
from pytest_slipstream.events.measured import WaitsTimed as WaitsTimed


class RunStarted(Event, frozen=True):
    """A process of the run began: controller, single process or worker.

    ``system``: as `sys.platform` says it. ``lanes``: those that are run, each with its engines.
    """

    testrun_uid: str
    version: str
    python: str = ""
    system: str = ""
    databases: tuple[str, ...] = ()
    lanes: dict[str, tuple[str, ...]] = {}


class ServerReady(Event, frozen=True):
    """A server can be used. ``started`` is false when another run or worker had started it."""

    database: str
    engine: str
    server_version: str
    started: bool
    seconds: float


class TemplateReady(Event, frozen=True):
    """A template is there: ``built`` in this run, or reused."""

    database: str
    template: str
    built: bool
    seconds: float


class PatternUnmatched(Event, frozen=True):
    """An entry of the option ``fingerprint`` names no file."""

    database: str
    pattern: str


class TemplateCollected(Event, frozen=True):
    """An old template was dropped because more than ``keep_templates`` were there."""

    database: str
    template: str


class SlotReady(Event, frozen=True):
    """A slot was made from the template, or made again by an escalation."""

    database: str
    slot: str
    seconds: float


class StrategyChanged(Event, frozen=True):
    """The wanted isolation strategy cannot be had here; another is used."""

    database: str
    wanted: str
    used: str
    reason: str


class DriverLeftAlone(Event, frozen=True):
    """A driver is not as expected: its connections are not routed, and cannot join a rollback."""

    driver: str
    reason: str


class ConnectedElsewhere(Event, frozen=True):
    """The application opened its first connection to a database that is no slot."""

    target: str


class Uncontained(Event, frozen=True):
    """A rollback did not contain what a test did; ``reset`` cleaned after it."""

    database: str
    node_id: str
    reason: str


class LeftoverFound(Event, frozen=True):
    """A test left a thread, transaction, connection, lock or temporary table; it was ended."""

    database: str
    node_id: str
    kind: str
    detail: str


class TestCleaned(Event, frozen=True):
    """A slot is clean again after a test."""

    __test__ = False

    database: str
    node_id: str
    strategy: str
    seconds: float
    tables: tuple[str, ...] = ()
    ddl: tuple[str, ...] = ()
    escalated: str | None = None


class TestRan(Event, frozen=True):
    """A test was run on a lane; ``seconds`` from before its first fixture until all is clean."""

    __test__ = False

    node_id: str
    lane: str
    seconds: float


class LayerPushed(Event, frozen=True):
    """A wider fixture wrote: tests in ``scope_id`` are reset to what it left."""

    database: str
    scope_id: str
    fixtures: tuple[str, ...]
    tables: tuple[str, ...]
    seconds: float


class LayerPopped(Event, frozen=True):
    """The scope ended and its layer was undone."""

    database: str
    scope_id: str
    seconds: float


class TraceFound(Event, frozen=True):
    """The audit found a difference between a cleaned slot and what it must be."""

    database: str
    node_id: str
    differences: tuple[str, ...]


class DatabaseKept(Event, frozen=True):
    """A failed test's database was left in place."""

    database: str
    node_id: str
    name: str
    url: str
    shell: str


class OperationMemoised(Event, frozen=True):
    """An operation was replaced, ``times`` times, instead of ``slow_seconds``; some ``checked``.

    ``seconds`` are all that this took, with the looks at it that led to nothing.
    """

    operation: str
    times: int
    seconds: float
    slow_seconds: float
    checked: int = 0


class OperationAsWritten(Event, frozen=True):
    """An operation ran as it is written, ``times`` times, because of what it met."""

    operation: str
    reason: str
    times: int


class MemoDiffered(Event, frozen=True):
    """What was restored was not what the operation makes; the database was put right."""

    operation: str
    differences: tuple[str, ...]


class ConnectionsMoved(Event, frozen=True):
    """Connections to a server went to an embedded one; without a ``product``, where they say."""

    server: str
    times: int
    product: str = ""
    made: tuple[str, ...] = ()


class HashedCheaply(Event, frozen=True):
    """Passwords were hashed at a library's least cost, ``times`` times."""

    library: str
    times: int


class HashingLeftAlone(Event, frozen=True):
    """A test, or a library's module, that hashes at full cost all the same."""

    what: str
    reason: str


class ShardChosen(Event, frozen=True):
    """This process runs one shard of the suite; in all, ``here`` and ``elsewhere`` were collected.

    ``digest`` is the same on all machines that split the suite alike; ``seconds`` are predicted.
    """

    shard: str
    digest: str
    tests: int
    of_tests: int
    seconds: float
    here: dict[str, tuple[str, ...]] = {}
    elsewhere: dict[str, tuple[str, ...]] = {}


class QueueJoined(Event, frozen=True):
    """This process pulls the tests of a build from a queue. ``collected``: node ids, by file."""

    build: str
    machine: str
    digest: str
    collected: dict[str, tuple[str, ...]] = {}


class TestRequeued(Event, frozen=True):
    """A test failed here and is run again on another machine, which reports it."""

    __test__ = False

    node_id: str
    text: str


class TestFlaky(Event, frozen=True):
    """A test passed here after it had failed on other machines."""

    __test__ = False

    node_id: str
    failed_on: str


class QueueLeft(Event, frozen=True):
    """This process pulls no more. ``problem``: why what it reported does not count, or nothing.

    ``reported``: also what a lost machine ran; ``adopted``: how many these are, by machine.
    """

    reported: dict[str, tuple[str, ...]] = {}
    adopted: dict[str, int] = {}
    problem: str = ""


class RunFinished(Event, frozen=True):
    """A process of the run ended. ``server_seconds``: how long it held its servers."""

    exit_status: int
    server_seconds: float


class BuildMerged(Event, frozen=True):
    """The records of several machines were joined.

    ``problems``: why it is not whole. ``notes``: what was left out. ``failed``: tests that failed
    or had errors, by the JUnit files. ``exit_status``: 1: something failed; 2: it is not whole.
    """

    exit_status: int
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tests: int = 0
    skipped: int = 0
    failed: tuple[str, ...] = ()


if TYPE_CHECKING:
    AnyEvent = Event
else:  # msgspec reads one by its tag
    AnyEvent = reduce(or_, Event.__subclasses__())
