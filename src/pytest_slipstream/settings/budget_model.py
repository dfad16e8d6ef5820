"""The options of budgets, as `model` has those of all else."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

COUNTERS = ("queries", "commits", "connections", "ddl", "clones", "fixtures")
"""What a budget can limit for each test beside its seconds."""
OVER_BUDGET = 10
"""The exit status of a run in which nothing failed but a budget. pytest's own end at 5."""


class BudgetSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The table ``[tool.slipstream.budget]``; durations, sizes and shares as in `quantities`."""

    test: Annotated[
        str,
        Meta(
            description="What a test may take, such as `1s` or `500ms`: set-up, call and teardown "
            "without wider fixtures."
        ),
    ] = ""
    tests: Annotated[
        dict[str, str],
        Meta(
            description="The same for the tests of a lane or of a marker, by its name. For a test "
            "of several the longest holds."
        ),
    ] = {}
    wall: Annotated[str, Meta(description="What the whole run may take, such as `3m`.")] = ""
    memory: Annotated[
        str,
        Meta(
            description="The most memory that pytest and its workers may have together, such as "
            "`6GB`; database servers are not counted."
        ),
    ] = ""
    regression: Annotated[
        str,
        Meta(
            description="How much longer than by the duration history the known tests may take "
            "together, such as `20%`."
        ),
    ] = ""
    counters: Annotated[
        dict[str, int],
        Meta(
            description="For each test, how many at most of "
            + ", ".join(f"`{name}`" for name in COUNTERS)
            + "; these do not depend on the machine."
        ),
    ] = {}
    enforce: Annotated[
        Literal["ci", "always"],
        Meta(
            description="Where budgets of time fail the run: on a CI machine (the variable `CI` is "
            "set) or `always`. Elsewhere they are warnings; the others always fail it."
        ),
    ] = "ci"
    grace: Annotated[
        bool,
        Meta(
            description="Tests that the duration history does not know yet break their budget of "
            "time with a warning only."
        ),
    ] = True
