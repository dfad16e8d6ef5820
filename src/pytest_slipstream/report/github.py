"""A run for GitHub: a summary of the step, and annotations.

The invariant: neither is larger than GitHub shows, and what was left out is said.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_slipstream.report.run import RunReport

ANNOTATIONS = 10
"""Of a kind, for each step; GitHub drops further ones."""

_SHOWN = 20


def summary(run: RunReport) -> str:
    """The run in Markdown."""
    return "".join(f"{line}\n" for line in _summary(run))


def commands(run: RunReport) -> str:
    """Workflow commands for failed tests and broken budgets, one a line."""
    errors = [(test.node_id, test.outcome) for test in run.failed]
    errors += [
        (one.node_id, f"{one.budget} {one.seen}, limit {one.limit}")
        for one in run.budgets
        if one.fails
    ]
    warnings = [
        (one.node_id, f"{one.budget} {one.seen}, limit {one.limit} ({one.spared})")
        for one in run.budgets
        if not one.fails
    ]
    lines = [*_commands("error", errors), *_commands("warning", warnings)]
    return "".join(f"{line}\n" for line in lines)


def _commands(kind: str, found: list[tuple[str, str]]) -> Iterator[str]:
    shown = found if len(found) <= ANNOTATIONS else found[: ANNOTATIONS - 1]
    for node_id, text in shown:
        place = f" file={_property(node_id.partition('::')[0])}" if node_id else ""
        yield f"::{kind}{place}::{_data(f'{node_id} {text}'.strip())}"
    if len(shown) < len(found):
        yield f"::{kind}::and {len(found) - len(shown)} more, see the report"


def _data(text: str) -> str:
    """As GitHub's workflow commands want it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _summary(run: RunReport) -> Iterator[str]:
    counted = ", ".join(f"{count} {name}" for name, count in sorted(run.outcomes.items()))
    yield f"## Tests: {run.verdict}"
    yield ""
    yield f"{counted or 'no tests'}, in {run.seconds:.1f} s"
    yield ""
    yield from (f"- not whole: {problem}" for problem in run.problems[:_SHOWN])
    for one in run.budgets[:_SHOWN]:
        kind = "budget broken" if one.fails else f"over budget ({one.spared})"
        whose = f"`{_cell(one.node_id)}` " if one.node_id else ""
        yield f"- {kind}: {whose}{one.budget} {one.seen}, limit {one.limit}"
    yield from (f"- {test.outcome}: `{_cell(test.node_id)}`" for test in run.failed[:_SHOWN])
    listed = (run.problems, run.failed, run.budgets)
    left_out = sum(max(0, len(found) - _SHOWN) for found in listed)
    if left_out:
        yield f"- … and {left_out} more"
    total_s = run.account.total_s
    if total_s:
        yield ""
        yield f"| where {total_s:.1f} worker seconds went | seconds | |"
        yield "|---|---:|---:|"
        for name, seconds in run.account.buckets.items():
            yield f"| {name} | {seconds:.2f} | {100 * seconds / total_s:.0f} % |"
    if run.tests:
        yield ""
        yield "| slowest tests | seconds |"
        yield "|---|---:|"
        for test in run.slowest[:5]:
            yield f"| `{_cell(test.node_id)}` | {test.seconds:.2f} |"


def _cell(text: str) -> str:
    """Text within a table's cell and within backticks."""
    return text.replace("|", "\\|").replace("`", "'").replace("\n", " ")
