from __future__ import annotations

from pytest_slipstream.events import StatementsTimed, WaitsTimed
from pytest_slipstream.report.detail import Apart, statements, waits


def test_statements_of_all_tests_are_added_up() -> None:
    happened = [
        StatementsTimed(node_id="a", statements={"select 1": (3, 0.25), "select 2": (1, 0.125)}),
        StatementsTimed(node_id="b", statements={"select 1": (7, 0.25)}),
        WaitsTimed(node_id="b", waits={"sleep in b.py:3": (2, 0.5)}),
        StatementsTimed(node_id="c", statements={"select 2": (1, 2.0)}),
    ]
    assert statements(happened) == (
        Apart("select 2", 2, 2.125, 1, "a"),
        Apart("select 1", 10, 0.5, 7, "b"),
    )
    assert waits(happened) == (Apart("sleep in b.py:3", 2, 0.5, 2, "b"),)
