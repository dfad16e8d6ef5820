"""The measurement protocol: runs by the timetable, and puts together what was seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_slipstream.measure import environment
from pytest_slipstream.measure.single_run import Seen, Side, run_once
from pytest_slipstream.measure.timetable import Turn, remaining_s
from pytest_slipstream.measure.values import NOT_RUN, Commit, Measurement, Software

Show = Callable[[int, float | None], None]
"""Told which turn runs and in how many seconds all will have ended, if that is known."""


def measure(
    sides: Sequence[Side], turns: Sequence[Turn], *, limit_s: float, show: Show
) -> list[Measurement]:
    """Take all turns.

    Args:
        sides: What is measured.
        turns: In which order; each side has one that counts.
        limit_s: Seconds after which a run is ended.
        show: Is told how far it is, twice a second at most.

    Returns:
        A measurement for each side.

    Raises:
        SlipstreamError: A run failed, hung or ran no test.
    """
    load_before = environment.load()
    commits = [environment.commit(side.directory) for side in sides]  # runs leave files behind
    seen: list[Seen] = []

    def watch(elapsed_s: float) -> None:
        show(len(seen), remaining_s(turns, [one.run.wall_s for one in seen], elapsed_s))

    for turn in turns:
        watch(0.0)
        seen.append(run_once(sides[turn.side], limit_s=limit_s, watch=watch))
    taken = list(zip(turns, seen, strict=True))
    return [
        _together(
            side,
            [one for turn, one in taken if turn.side == number and not turn.counts],
            [one for turn, one in taken if turn.side == number and turn.counts],
            load_before,
            commits[number],
        )
        for number, side in enumerate(sides)
    ]


def _together(
    side: Side,
    warmup: Sequence[Seen],
    runs: Sequence[Seen],
    load_before: float,
    commit: Commit | None,
) -> Measurement:
    last = runs[-1]
    session = last.noted.sessions[0]
    return Measurement(
        command=side.shown,
        machine=environment.machine(),
        load_before=load_before,
        software=Software(
            python=session.python,
            pytest=session.pytest,
            plugins=session.plugins,
            servers=last.recorded.servers,
        ),
        commit=commit,
        workers=max(session.workers, last.recorded.workers),
        memory_kind=last.memory_kind,
        server_memory_kind=last.server_memory_kind,
        warmup=tuple(one.run for one in warmup),
        runs=tuple(one.run for one in runs),
        tests=_tests(runs),
    )


def _tests(runs: Sequence[Seen]) -> dict[str, str]:
    """Each test's outcome, or all that it had."""
    every = dict.fromkeys(node_id for one in runs for node_id in one.noted.tests)
    return {node_id: " or ".join(sorted(_outcomes(node_id, runs))) for node_id in every}


def _outcomes(node_id: str, runs: Sequence[Seen]) -> set[str]:
    tests = [one.noted.tests.get(node_id) for one in runs]
    return {NOT_RUN if test is None else test.outcome for test in tests}
