"""How many workers, and whether any. Pure."""

from __future__ import annotations

from typing import Literal

from pytest_slipstream.scheduling.prediction import Prediction, Start, fastest, predict
from pytest_slipstream.scheduling.suite import Suite


def choose(
    suite: Suite, wanted: int | Literal["auto"], processors: int, start: Start
) -> Prediction:
    """The prediction for the number of workers that is used; 0 for none.

    Args:
        suite: The collected tests.
        wanted: What was configured.
        processors: How many this process may use.
        start: What having workers costs.
    """
    most = len(suite.tests)
    if wanted != "auto":
        return predict(suite, min(wanted, most), start)
    candidates = {min(processors, most), *(2**n for n in range(1, 8) if 2**n < processors)}
    return fastest(predict(suite, n, start) for n in sorted({0} | candidates) if n <= most)


def reason_for_none(options: dict[str, object]) -> str:
    """Why tests run in sequence whatever number of workers is configured; "" if they do not.

    Args:
        options: pytest's, by their names.
    """
    for name, flag in _IN_SEQUENCE.items():
        if options.get(name):
            return flag
    return ""


_IN_SEQUENCE = {
    "usepdb": "--pdb",
    "trace": "--trace",
    "stepwise": "--stepwise",
    "setupshow": "--setup-show",
    "setuponly": "--setup-only",
    "setupplan": "--setup-plan",
}
"""Options for which somebody looks at one test after the other."""
