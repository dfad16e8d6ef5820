"""What the user configures: one table of options for the file, the environment, the command line
and the reference page.

Precedence: command line over environment over file over default. Decoding is strict: whatever
is unknown, of a wrong type or without effect is a `ConfigurationError` that names it and what is
valid.
"""

from pytest_slipstream.settings.budget_model import OVER_BUDGET, BudgetSettings
from pytest_slipstream.settings.database_model import (
    DatabaseSettings,
    EngineName,
    IsolationName,
    Sources,
)
from pytest_slipstream.settings.loading import load
from pytest_slipstream.settings.model import LaneSettings, Settings
from pytest_slipstream.settings.options import (
    BUDGET_OPTIONS,
    LANE_OPTIONS,
    OPTIONS,
    Option,
    register,
)
from pytest_slipstream.settings.verdicts import PLACEHOLDERS, database_key_problem

__all__ = [
    "BUDGET_OPTIONS",
    "LANE_OPTIONS",
    "OPTIONS",
    "OVER_BUDGET",
    "PLACEHOLDERS",
    "BudgetSettings",
    "DatabaseSettings",
    "EngineName",
    "IsolationName",
    "LaneSettings",
    "Option",
    "Settings",
    "Sources",
    "database_key_problem",
    "load",
    "register",
]
