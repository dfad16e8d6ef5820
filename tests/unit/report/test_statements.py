from __future__ import annotations

from pytest_slipstream.events import StatementsTimed
from pytest_slipstream.report.statements import Statement, slowest


def test_statements_of_all_tests_are_added_up() -> None:
    happened = [
        StatementsTimed(node_id="a", statements={"select 1": (3, 0.25), "select 2": (1, 0.125)}),
        StatementsTimed(node_id="b", statements={"select 1": (7, 0.25)}),
        StatementsTimed(node_id="c", statements={"select 2": (1, 2.0)}),
    ]
    assert slowest(happened) == (
        Statement("select 2", 2, 2.125, 1, "a"),
        Statement("select 1", 10, 0.5, 7, "b"),
    )
