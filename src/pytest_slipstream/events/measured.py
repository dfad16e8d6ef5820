"""What was measured, as events: seconds, memory, budgets."""

from __future__ import annotations

from pytest_slipstream.events.event import Event

MADE_ONCE = ("server", "template", "slot", "imports", "layers")
"""What of ``spent`` is made for all tests, and falls to whichever comes first."""


class TestTimed(Event, frozen=True):
    """Where the seconds of a test went. All of these add up to ``seconds``, to rounding:
    ``own``, of set-up, call and teardown, without what follows; ``fixtures``, the set-up and the
    teardown of each by itself; ``spent``, on slipstream's work for the test, on the test's
    connections and on imports; and the rest, which pytest and its plugins took around the phases.
    Of the call's own seconds, the processor worked ``cpu_seconds``, for whichever test where tests
    overlap, and ``waited`` were waited, by kind. Of ``fixtures``, ``fixtures_waited`` were waited,
    and ``wider_seconds`` are wider ones', with the statements that they ran. ``counts``: statements
    and so on, without those of wider fixtures. ``began``: Unix time.
    """

    __test__ = False

    node_id: str
    outcome: str
    began: float
    seconds: float
    own: tuple[float, float, float]
    cpu_seconds: float
    waited: dict[str, float] = {}
    fixtures_waited: dict[str, float] = {}
    wider_seconds: float = 0.0
    fixtures: dict[str, tuple[float, float]] = {}
    spent: dict[str, float] = {}
    counts: dict[str, int] = {}
    marks: tuple[str, ...] = ()


class StatementsTimed(Event, frozen=True):
    """The statements of a test by their text: how often each ran, and its seconds in all."""

    node_id: str
    statements: dict[str, tuple[int, float]]


class WaitsTimed(Event, frozen=True):
    """The waits of a test by their kind and place: how often, and for how many seconds in all."""

    node_id: str
    waits: dict[str, tuple[int, float]]


class ProcessTimed(Event, frozen=True):
    """The stages of a process that collected tests, which follow one another.

    ``began`` is Unix time. ``starting_seconds``: of interpreter and plugins, until slipstream was
    configured; then ``conftest_seconds``, ``collecting_seconds`` with ``imports`` by test module,
    and ``running_seconds``. What follows lasts until `RunFinished`. ``importing``: the imports of
    conftests, and in collecting. ``packages``: all imports, each without what it imports.
    """

    began: float
    starting_seconds: float
    conftest_seconds: float
    collecting_seconds: float
    running_seconds: float
    imports: dict[str, float] = {}
    importing: tuple[float, float] = (0.0, 0.0)
    packages: dict[str, float] = {}


class MemorySeen(Event, frozen=True):
    """What pytest and its workers have together, and their database servers. ``kind``: PSS, RSS."""

    kind: str
    own_bytes: int
    server_bytes: int = 0


class BudgetBroken(Event, frozen=True):
    """More than a budget allows: ``seen`` over ``limit``, of a test or of the run.

    ``why``: what a test's seconds went to. ``spared``: why it is a warning, and ``fails`` not.
    """

    budget: str
    limit: str
    seen: str
    node_id: str = ""
    fails: bool = True
    spared: str = ""
    why: str = ""

    @property
    def said(self) -> str:
        """What is broken, in a line."""
        return f"{self.node_id} {self.budget} {self.seen}, limit {self.limit}".strip()


class AsyncTestRan(Event, frozen=True):
    """An asynchronous test is over, which ran ``together`` with others, or alone for a reason."""

    node_id: str
    together: bool
    reason: str
    seconds: float
    running_seconds: float


class LoopBlocked(Event, frozen=True):
    """A test did not let the event loop go on."""

    node_id: str
    seconds: float
