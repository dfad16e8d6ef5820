"""Whether budgets make sense. Pure. As in `verdicts`, each problem is a sentence's second half."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pytest_slipstream.settings.budget_model import COUNTERS, BudgetSettings
from pytest_slipstream.settings.quantities import seconds, share, size_bytes


def budget_problems(budget: BudgetSettings) -> Iterable[tuple[str, str]]:
    """What is wrong with the budgets: pairs of a key and the problem."""
    quantities: list[tuple[str, str, Callable[[str], float]]] = [
        ("test", budget.test, seconds),
        ("wall", budget.wall, seconds),
        ("memory", budget.memory, size_bytes),
        ("regression", budget.regression, share),
        *((f"tests.{name}", text, seconds) for name, text in budget.tests.items()),
    ]
    for key, text, read in quantities:
        try:
            if text or "." in key:
                read(text)
        except ValueError as error:
            yield key, str(error)
    for name, most in budget.counters.items():
        if name not in COUNTERS:
            yield f"counters.{name}", f"is not counted; these are: {', '.join(COUNTERS)}"
        elif most < 0:
            yield f"counters.{name}", f"is {most}, and must be 0 or more"
