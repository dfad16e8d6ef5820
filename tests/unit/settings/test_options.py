"""The table of options: complete, and the same on every door."""

from __future__ import annotations

import msgspec
import pytest

from projects import WITHOUT_UNUSED_PLUGINS
from pytest_slipstream.settings import (
    BUDGET_OPTIONS,
    LANE_OPTIONS,
    OPTIONS,
    BudgetSettings,
    DatabaseSettings,
    LaneSettings,
    Settings,
)


def test_every_field_is_an_option_with_a_description():
    fields = {
        field.name
        for struct in (Settings, DatabaseSettings, LaneSettings, BudgetSettings)
        for field in msgspec.structs.fields(struct)
    }
    options = [*OPTIONS, *LANE_OPTIONS, *BUDGET_OPTIONS]
    assert {option.name for option in options} == fields - {"databases", "lanes", "budget"}
    assert all(option.description.endswith(".") for option in options)


def test_names_are_unique_so_that_a_flag_means_one_thing():
    assert len({option.flag for option in OPTIONS}) == len(OPTIONS)


def test_what_an_option_needs_is_an_option_of_a_database():
    of_database = {option.name for option in OPTIONS if option.of_database}
    assert {name for option in OPTIONS for name in option.needs} <= of_database


def test_help_lists_every_flag_in_one_group(pytester: pytest.Pytester):
    output = pytester.runpytest_subprocess(*WITHOUT_UNUSED_PLUGINS, "--help").stdout.str()
    group = output.partition("slipstream: a clean database for every test")[2]
    flags = [option.flag for option in OPTIONS]
    flags += [f"--no-{option.flag[2:]}" for option in OPTIONS if option.kind == "switch"]
    assert [flag for flag in flags if flag not in group] == []


def test_a_wrong_flag_ends_with_exit_code_4_and_no_traceback(pytester: pytest.Pytester):
    pytester.makepyprojecttoml('[tool.slipstream.databases.main]\nengine = "sqlite"')
    options = ("--slipstream-isolation", "rest")
    result = pytester.runpytest_subprocess(*WITHOUT_UNUSED_PLUGINS, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: --slipstream-isolation is 'rest', and must be one of reset, rollback, *",
            "hint: did you mean 'reset'?",
        ]
    )
    assert "Traceback" not in result.stderr.str()


def test_an_unknown_key_ends_with_exit_code_4_and_no_traceback(pytester: pytest.Pytester):
    pytester.makepyprojecttoml("[tool.slipstream]\nadit = true")
    result = pytester.runpytest_subprocess(*WITHOUT_UNUSED_PLUGINS)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: tool.slipstream.adit is not known*"])
    assert "Traceback" not in result.stderr.str()
