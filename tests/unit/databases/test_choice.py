from __future__ import annotations

import pytest

from pytest_slipstream.databases.isolation.choice import DbMark, choose, read_mark
from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.settings import DatabaseSettings

MAIN = DatabaseSettings(engine="sqlite")
MARKED = DatabaseSettings(engine="sqlite", isolation="clone", tests="marked")
BOTH = {"main": MAIN, "audit": MARKED}


@pytest.mark.parametrize(
    ("marks", "uses_fixture", "chosen"),
    [
        ((), False, {"main": "reset"}),
        ((), True, {"main": "reset", "audit": "clone"}),
        ((DbMark(),), False, {"main": "reset", "audit": "clone"}),
        ((DbMark("none"),), False, {"main": "none", "audit": "none"}),
        ((DbMark(None, ("audit",)),), False, {"audit": "clone"}),
        ((DbMark("reset", ("audit",)), DbMark("none")), False, {"audit": "reset"}),
        (
            (DbMark("none", ("main",)), DbMark(None, ("audit",))),
            False,
            {"main": "none", "audit": "clone"},
        ),
        ((DbMark("none"), DbMark("clone")), False, {"main": "none", "audit": "none"}),
    ],
)
def test_choice(marks: tuple[DbMark, ...], uses_fixture: bool, chosen: dict[str, str]) -> None:
    assert choose(BOTH, marks, uses_fixture) == chosen


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        (pytest.mark.db("main").mark, "argument 'main'"),
        (pytest.mark.db(level="x").mark, "argument level"),
        (pytest.mark.db(isolation="rollbck").mark, "isolation='rollbck'"),
        (pytest.mark.db(database=["main", "x"]).mark, "database 'x'"),
    ],
)
def test_wrong_marks(mark: pytest.Mark, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_mark(mark, "t.py::test", BOTH)


def test_mark_with_several_databases() -> None:
    mark = pytest.mark.db(isolation="clone", database=["main", "audit"]).mark
    assert read_mark(mark, "t.py::test", BOTH) == DbMark("clone", ("main", "audit"))
