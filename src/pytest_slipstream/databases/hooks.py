"""The databases' part in a pytest run: a test owns its slots from before its first fixture to
after its last finalizer.

The invariant: whatever a test or a fixture raises, the slot is clean, or its failure is reported,
before the next test begins.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from _pytest import nodes

from pytest_slipstream import events
from pytest_slipstream.clock import clock
from pytest_slipstream.databases import urls
from pytest_slipstream.databases.audit import Audit
from pytest_slipstream.databases.database import Database, Emit
from pytest_slipstream.databases.flights import Flights
from pytest_slipstream.databases.isolation.choice import FIXTURES, DbMark, choose, read_mark
from pytest_slipstream.databases.lanes.lanes import Lanes
from pytest_slipstream.databases.layers import Layers
from pytest_slipstream.databases.routing.door import Door
from pytest_slipstream.databases.routing.pools import Pools
from pytest_slipstream.errors import IsolationError, ServerError, SlipstreamError, TemplateError
from pytest_slipstream.settings import Settings

_OWN_CODE = str(Path(__file__).parent.parent)
Wrapper = Generator[None, Any, Any]


class Turn:
    """A test's use of its databases: which, by which strategy, and how far it has come."""

    def __init__(
        self, item: pytest.Item, databases: Mapping[str, Database], *, in_flight: bool
    ) -> None:
        self.item = item
        self.databases = databases
        self.in_flight = in_flight
        self.strategies: dict[str, str] = {}
        self.began_at = clock.seconds()
        self.in_body = False
        self.failed = False


class DatabaseHooks:
    """Registered once for each process that runs tests."""

    def __init__(
        self,
        settings: Settings,
        lanes: Lanes,
        emit: Emit,
        pools: Pools,
    ) -> None:
        self._settings = settings
        self._lanes = lanes
        self._emit = emit
        self._pools = pools
        self._layers = Layers(lanes, emit)
        self._audit = Audit(emit) if settings.audit else None
        self._marks: dict[pytest.Item, dict[str, str]] = {}
        self._turns: dict[pytest.Item, Turn] = {}
        self.flights: Flights | None = None
        """Where tests may be in flight together."""
        self._kept = 0

    @property
    def _databases(self) -> Mapping[str, Database]:
        return self._lanes.current.databases

    def take_off(self, door: Door, settle: Callable[[], None]) -> Flights:
        """Tests may be in flight together from now on.

        Args:
            door: Where connections are routed.
            settle: Ends what the running test has left running on the event loop.
        """
        self.flights = Flights(
            self._lanes, door, self._pools, self.strategies, settle, self.check_use
        )
        return self.flights

    def databases_of(self, item: object) -> Mapping[str, Database]:
        """The databases as a test reaches them: on its own slots, if it is in flight."""
        turn = self._turns.get(item) if isinstance(item, pytest.Item) else None
        return self._databases if turn is None else turn.databases

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Read all ``db`` marks, so that a wrong one is an error before anything runs.

        A worker of pytest-xdist cannot say so while it collects; there the test itself fails.
        """
        for item in () if hasattr(config, "workerinput") else items:
            self._marks[item] = self._strategies(item)

    def _strategies(self, item: pytest.Item) -> dict[str, str]:
        self._lanes.check(item)
        configured = self._settings.every_lane[self._lanes.of(item)].databases
        marks: list[DbMark] = [
            read_mark(mark, item.nodeid, configured) for mark in item.iter_markers("db")
        ]
        closure = getattr(item, "fixturenames", ())
        chosen = choose(configured, marks, not FIXTURES.isdisjoint(closure))
        for name, database in self._lanes.databases_of(item).items():
            database.joining.possible |= chosen.get(name) == "rollback"
        return chosen

    def strategies(self, item: pytest.Item) -> dict[str, str]:
        """The databases that a test uses, each with its strategy."""
        if item not in self._marks:
            self._marks[item] = self._strategies(item)
        return self._marks[item]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Give the test its slots before its first fixture."""
        self._pools.watch()
        error = self._begin(item)
        if isinstance(error, ServerError | TemplateError):
            # Every further test would fail alike: one clear error, then the run ends.
            item.session.shouldfail = "slipstream could not provide a database"
        if error is not None:
            pytest.fail(_with_cause(error), pytrace=False)

    def _begin(self, item: pytest.Item) -> SlipstreamError | None:
        slots = self.flights.of(item) if self.flights is not None else None
        turn = self._turns[item] = Turn(
            item,
            self._databases if slots is None else slots.databases,
            in_flight=slots is not None,
        )
        try:
            if slots is None:
                self._lanes.enter(self._lanes.of(item))
                turn.databases = self._databases
            elif slots.error is not None:
                return slots.error
            for name, wanted in self.strategies(item).items():
                turn.strategies[name] = turn.databases[name].begin(wanted, item.nodeid)
        except SlipstreamError as error:
            return error
        return None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
    ) -> Wrapper:
        """Tell what a wider fixture writes from what the test's own fixtures write."""
        __tracebackhide__ = True
        turn = self._turns.get(request._pyfuncitem)
        if fixturedef.scope == "function":
            self._begin_body(turn)
            return (yield)
        with ExitStack() as stack:
            if turn is not None and turn.in_body and not turn.in_flight:
                set_apart = partial(self._layers.set_apart, turn.item)
                set_apart()
                reason = (
                    f"the {fixturedef.scope} fixture {fixturedef.argname!r} is set up within the "
                    "test"
                )
                for database in self._databases.values():
                    stack.enter_context(database.joining.interrupted(reason, set_apart))
            elif turn is not None:
                self._clean_up()
            stack.enter_context(self._layers.of(fixturedef, request.node))
            return (yield)

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[object]) -> None:
        """Note the end of a wider fixture.

        A parametrised one ends while the next test is set up: its layer, and what its finalizer
        wrote, go before the fixture with the next parameter writes.
        """
        if fixturedef.scope == "function":
            return
        self._layers.finish(fixturedef)
        turns = self._turns.values()  # one, or those in flight
        if any(turn.in_flight or not turn.in_body for turn in turns):
            self._layers.pop_ended(None)
            for database in self._databases.values():
                database.unclean = database.is_open
            self._clean_up()

    def _clean_up(self) -> None:
        """Nothing that another test or fixture left may become part of a layer."""
        for database in self._databases.values():
            if database.is_open and database.unclean:
                database.clean("", "reset")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Wrapper:
        """A test without fixtures of its own begins here."""
        __tracebackhide__ = True
        self._begin_body(self._turns.get(item))
        return (yield)

    def _begin_body(self, turn: Turn | None) -> None:
        """Wider fixtures are done; from here on the test itself writes."""
        if turn is None or turn.in_body:
            return
        turn.in_body = True
        if turn.in_flight:
            self._layers.check_all_of(turn.item)
            for name in turn.strategies:
                turn.databases[name].lay()
        else:
            self._pools.begin_test()
        for name, strategy in turn.strategies.items():
            if strategy == "rollback":
                turn.databases[name].joining.begin(turn.item.nodeid)
        if self._audit is not None:
            for name in turn.strategies:
                self._audit.expect(turn.databases[name])

    def check_use(self, fixturedef: pytest.FixtureDef[object], item: pytest.Item) -> None:
        """A test gets the value of a wider fixture, which may have been set up before.

        Raises:
            IsolationError: It is in flight, and its own slot cannot have the fixture's rows any
                more.
        """
        turn = self._turns.get(item)
        if turn is None or not (turn.in_flight and turn.in_body):
            return
        if self._layers.lies_above(fixturedef, turn.databases):
            raise IsolationError(
                f"{item.nodeid} asks for the {fixturedef.scope} fixture {fixturedef.argname!r} "
                "while it is under way, and what the fixture wrote cannot reach the slot of a test "
                "that is in flight with others any more",
                hint="name the fixture among the test's arguments, or mark the test with "
                "@pytest.mark.sequential",
            )

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Wrapper:
        """Learn whether the test failed."""
        report = yield
        turn = self._turns.get(item)
        if turn is not None and call.when != "teardown":
            turn.failed |= report.failed
        return report

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> Wrapper:
        """Where a layer ends with this test, let the test's own finalizers run first, and clean.

        So the wider fixtures' finalizers find the data that the fixtures made.
        """
        __tracebackhide__ = True
        turn = self._turns.get(item)
        if turn is None or not (
            turn.in_flight or self._layers.any_ended(self._surviving(item, nextitem))
        ):
            return (yield)
        failure = _tear_down_test(item)
        if self.flights is not None and turn.in_flight:
            self.flights.settle()
        try:
            self._clean(turn)
        except SlipstreamError as error:  # the wider fixtures must be torn down all the same
            failure = failure or error
        try:
            result = yield
        except BaseException as error:
            raise error from failure
        if failure is not None:
            raise failure
        return result

    def _surviving(self, item: pytest.Item, nextitem: pytest.Item | None) -> list[nodes.Node]:
        """The nodes that stay set up for the next test; none if it is on another lane."""
        if nextitem is None or self._lanes.of(nextitem) != self._lanes.of(item):
            return []
        return nextitem.listchain()

    def end_turn(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """The last finalizer of a test has run: its layers go, its slots are made clean.

        Args:
            item: The test.
            nextitem: The test that comes next.
        """
        turn = self._turns.pop(item, None)
        if turn is None or turn.in_flight:  # cleaned before wider fixtures were torn down
            return
        try:
            self._layers.pop_ended(self._surviving(turn.item, nextitem))
            self._clean(turn)
            self._lanes.check_others(turn.item.nodeid)
        finally:
            if self._settings.lanes:
                seconds = clock.seconds() - turn.began_at
                lane = self._lanes.of(turn.item)
                self._emit(events.TestRan(node_id=turn.item.nodeid, lane=lane, seconds=seconds))

    def _clean(self, turn: Turn) -> None:
        """Clean all slots of the test; what fails with one does not keep the others from it."""
        errors = []
        for name, database in turn.databases.items():
            strategy = turn.strategies.get(name)
            if strategy is None:
                database.unclean = database.is_open  # the test may have written to it all the same
                continue
            try:
                self._clean_one(database, strategy, turn)
            except SlipstreamError as error:
                errors.append(error)
        turn.failed = False
        if errors:
            raise errors[0]

    def _clean_one(self, database: Database, strategy: str, turn: Turn) -> None:
        node_id = turn.item.nodeid
        if self._settings.keep and turn.failed:
            self._keep(database, node_id)
        else:
            database.clean(node_id, strategy)
        if self._audit is not None and strategy != "none":
            self._audit.check(database, node_id)

    def _keep(self, database: Database, node_id: str) -> None:
        self._kept += 1
        address = database.keep(node_id, self._kept)
        self._emit(
            events.DatabaseKept(
                database=database.name,
                node_id=node_id,
                name=address.database,
                url=urls.url(address),
                shell=f"slipstream db shell {address.database}",
            )
        )


def _tear_down_test(item: pytest.Item) -> BaseException | None:
    """Run the finalizers of the test alone; what they raise is the result."""
    try:
        # pytest tears down all that its argument's chain does not need: here, the test.
        item.session._setupstate.teardown_exact(item.parent)  # type: ignore[arg-type]
    except (Exception, pytest.skip.Exception, pytest.fail.Exception) as error:  # noqa: BLE001
        return error
    return None


def _with_cause(error: SlipstreamError) -> str:
    """The error, and where in the user's own code its cause was raised."""
    cause = error.__cause__
    frames = [
        frame
        for frame in traceback.extract_tb(cause.__traceback__ if cause is not None else None)
        if not frame.filename.startswith((_OWN_CODE, "<frozen"))
        and "importlib" not in Path(frame.filename).parts
    ]
    if not frames:
        return str(error)
    said = traceback.format_exception_only(cause)
    return "".join([f"{error}\n\n", *traceback.format_list(frames), *said])


class CleanAfterTest:
    """The outermost part of a test's teardown: other plugins' part in it may write, too.

    A class of its own, since a plugin has one implementation of a hook.
    """

    def __init__(self, hooks: DatabaseHooks) -> None:
        self._hooks = hooks

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> Wrapper:
        """Clean after the last finalizer."""
        __tracebackhide__ = True
        try:
            result = yield
        except (KeyboardInterrupt, pytest.exit.Exception):
            raise  # the run ends now, and with it the slots
        except BaseException:
            self._hooks.end_turn(item, nextitem)
            raise
        self._hooks.end_turn(item, nextitem)
        return result
