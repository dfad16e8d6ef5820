"""From the configuration and the collected tests to the run loop."""

from __future__ import annotations

import msgspec
import pytest

from pytest_slipstream.running import compatibility, facts, fibers, pytest_internals
from pytest_slipstream.running.company import NO_COMPANY, Company
from pytest_slipstream.running.flights import CURRENT
from pytest_slipstream.running.plans import Plan, decide
from pytest_slipstream.running.run_loop import Emit, Limits, RunLoop
from pytest_slipstream.running.sources import ListSource, Source
from pytest_slipstream.settings import Settings

DEFAULT_LIMIT = 16


def running() -> pytest.Item | None:
    """The test whose code is running, among those in flight."""
    flight = CURRENT.get()
    return None if flight is None else flight.item


def run_tests(
    session: pytest.Session,
    settings: Settings,
    emit: Emit,
    company: Company = NO_COMPANY,
    source: Source | None = None,
) -> None:
    """Run the collected tests.

    Args:
        session: pytest's.
        settings: How many may be in flight.
        emit: Takes the events.
        company: What tests in flight need of another room.
        source: Hands out those that are to be run; without it, all are.

    Raises:
        ConfigurationError: A marker is wrong, or this pytest is not known.
    """
    pytest_internals.check()
    compatibility.check(session.config)
    limit = 1 if _is_watched(session.config) else settings.concurrency or DEFAULT_LIMIT
    plans = {
        item: _alone_if(
            limit == 1,
            decide(
                fact,
                all_tests=settings.concurrency > 0,
                process_wide=settings.process_wide_fixtures,
            ),
        )
        for item, fact in facts.of_all(session.items, company).items()
    }
    limits = Limits(limit, settings.groups, settings.timeout or None)
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None and any(plan.way == "together" for plan in plans.values()):
        terminal.showfspath = False  # modules alternate: their names would fill the screen
    RunLoop(session, source or ListSource(session.items), plans, limits, emit, company).run()


def end_tasks() -> None:
    """Cancel what the running test has left running on the loop, where it waits for that."""
    flight = CURRENT.get()
    if flight is not None and fibers.in_fiber() and not compatibility.keeps_tasks(flight.item):
        fibers.wait(flight.end_tasks())


def _is_watched(config: pytest.Config) -> bool:
    """Whether somebody looks at each test, who could not follow several."""
    option = config.option
    return bool(
        getattr(option, "usepdb", False)
        or getattr(option, "trace", False)
        or getattr(option, "capture", "") in ("no", "tee-sys")
    )


def _alone_if(one_at_a_time: bool, plan: Plan) -> Plan:
    if one_at_a_time and plan.way == "together":
        return msgspec.structs.replace(plan, way="alone")
    return plan
