from __future__ import annotations

from pathlib import Path

import pytest

from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.settings import BudgetSettings, load
from pytest_slipstream.settings.quantities import seconds, share, size_bytes


def loaded(tmp_path: Path, text: str) -> BudgetSettings:
    (tmp_path / "pyproject.toml").write_text(f"[tool.slipstream.budget]\n{text}")
    return load(tmp_path, {}, {}).budget


def test_quantities() -> None:
    assert [seconds(text) for text in ("500ms", "1.5s", "3m", "3 min", "1h")] == [
        0.5,
        1.5,
        180,
        180,
        3600,
    ]
    assert [size_bytes(text) for text in ("6GB", "2GiB", "1kB")] == [6e9, 2**31, 1000]
    assert share("20%") == pytest.approx(0.2)


def test_all_keys(tmp_path: Path) -> None:
    budget = loaded(
        tmp_path,
        """
        test = "1s"
        tests = { real = "5s" }
        wall = "3m"
        memory = "6GB"
        regression = "20%"
        counters = { queries = 50, clones = 0 }
        enforce = "always"
        grace = false
        """,
    )
    assert budget == BudgetSettings(
        test="1s",
        tests={"real": "5s"},
        wall="3m",
        memory="6GB",
        regression="20%",
        counters={"queries": 50, "clones": 0},
        enforce="always",
        grace=False,
    )


def test_a_budget_alone_is_a_reason_to_watch_the_run(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.slipstream.budget]\ntest = "1s"\n')
    assert load(tmp_path, {}, {}).needs_run


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('test = "1 fortnight"', "budget.test is '1 fortnight', and must be a duration"),
        ("test = 1", "budget.test is 1, and must be a text"),
        ('wall = "0s"', "budget.wall is '0s', and must be a duration"),
        ('memory = "6"', "budget.memory is '6', and must be a size"),
        ('regression = "0.2"', "budget.regression is '0.2', and must be a percentage"),
        ('tests = { slow = "" }', "budget.tests.slow is '', and must be a duration"),
        ("counters = { rows = 1 }", "budget.counters.rows is not counted; these are: queries"),
        ("counters = { queries = -1 }", "budget.counters.queries is -1, and must be 0 or more"),
        ('tset = "1s"', "budget.tset is not known in this version; valid keys: counters"),
        ('enforce = "never"', "budget.enforce is 'never', and must be one of ci, always"),
    ],
)
def test_wrong_budgets(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, text)
    assert message in caught.value.message
