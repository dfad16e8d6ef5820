from __future__ import annotations

import pytest

from pytest_slipstream.marks import is_any_marked

FILE = """
import pytest

pytestmark = pytest.mark.on_module

class TestPlain:
    def test_plain(self):
        pass

@pytest.mark.on_class
class TestMarked:
    @pytest.mark.on_function
    @pytest.mark.parametrize("value", [pytest.param(1, marks=pytest.mark.on_value), 2])
    def test_marked(self, value):
        pass
"""


def test_marks_of_all_kinds_are_found(pytester: pytest.Pytester) -> None:
    path = pytester.makepyfile(test_it=FILE)
    items, _ = pytester.inline_genitems(path, "-p", "no:asyncio", "-W", "ignore")
    for name in ("on_module", "on_class", "on_function", "on_value", "on_none"):
        is_there = any(item.get_closest_marker(name) for item in items)
        assert is_any_marked(items, name) == is_there == (name != "on_none")
    assert not is_any_marked(items[:1], "on_class")
    assert not is_any_marked([], "on_class")
