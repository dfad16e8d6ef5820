"""A merged build as Markdown, for a CI service's summary: a rendering of the merged record.

The invariant: it is never longer than it may be, and says so where it was cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_slipstream import events
from pytest_slipstream.settings import OVER_BUDGET

GITHUB_LIMIT_BYTES = 1024 * 1024
"""What GitHub shows of the summary of one step; a longer one is not shown at all."""

_SHOWN = 100
_CUT = "\n… cut here: the rest is in the merged run record.\n"
_VERDICTS = {0: "passed", 1: "failed", 2: "is not whole", OVER_BUDGET: "is over budget"}


def markdown(happened: Sequence[events.AnyEvent]) -> str:
    """The summary of a build.

    Args:
        happened: The merged record's events.
    """
    return "".join(f"{line}\n" for line in _lines(happened))


def broken(happened: Sequence[events.AnyEvent]) -> list[events.BudgetBroken]:
    """The budgets that fail the build."""
    return [one for one in happened if isinstance(one, events.BudgetBroken) and one.fails]


def within(text: str, limit_bytes: int) -> str:
    """A text cut at the end of a line, if it is too long."""
    encoded = text.encode()
    if len(encoded) <= limit_bytes:
        return text
    room = max(0, limit_bytes - len(_CUT.encode()))
    kept = encoded[:room].rpartition(b"\n")[0].decode(errors="ignore")
    return (kept + _CUT) if limit_bytes >= len(_CUT.encode()) else ""


def _lines(happened: Sequence[events.AnyEvent]) -> Iterator[str]:
    for build in happened:
        if isinstance(build, events.BuildMerged):
            yield f"## The build {_VERDICTS[build.exit_status]}"
            yield ""
            yield from _listed("Not whole", build.problems)
            yield from _listed("Failed", [f"`{name}`" for name in build.failed])
            yield from _listed("Over budget", [one.said for one in broken(happened)])
            if build.tests:
                yield f"{build.tests} tests, {len(build.failed)} failed, {build.skipped} skipped"
                yield ""
            yield from _listed("Left out", build.notes)
    yield "| machine | tests | predicted | took | exit status |"
    yield "|---|---:|---:|---:|---:|"
    yield from sorted(_machines(happened))


def _machines(happened: Sequence[events.AnyEvent]) -> Iterator[str]:
    for started in happened:
        if isinstance(started, events.RunStarted) and started.worker.endswith(", main"):
            machine = started.worker.removesuffix(", main")
            own = [event for event in happened if event.worker.startswith(f"{machine}, ")]
            chosen = next((one for one in own if isinstance(one, events.ShardChosen)), None)
            end = next(
                (
                    event
                    for event in own
                    if isinstance(event, events.RunFinished) and event.worker == started.worker
                ),
                None,
            )
            tests = str(chosen.tests) if chosen else ""
            predicted = f"{chosen.seconds:.0f} s" if chosen else ""
            took = f"{end.at - started.at:.0f} s" if end else ""
            status = str(end.exit_status) if end else "none"
            yield f"| {machine} | {tests} | {predicted} | {took} | {status} |"


def _listed(title: str, entries: Sequence[str]) -> Iterator[str]:
    if entries:
        yield f"**{title}**"
        yield ""
        yield from (f"- {entry}" for entry in entries[:_SHOWN])
        if len(entries) > _SHOWN:
            yield f"- … and {len(entries) - _SHOWN} more"
        yield ""
