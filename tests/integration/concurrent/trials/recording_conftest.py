"""The conftest of a trial: writes down all that reporters are told."""

import json
import os
import pathlib

import pytest

SEEN = []


def is_trial(path):
    return pathlib.Path(path).name.startswith("test_")


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report):
    crash = getattr(report.longrepr, "reprcrash", None)
    SEEN.append(
        {
            "kind": type(report).__name__,
            "test": report.nodeid,
            "when": report.when,
            "outcome": report.outcome,
            "wasxfail": getattr(report, "wasxfail", None),
            "sections": report.sections,
            "properties": report.user_properties,
            "message": crash.message if crash is not None else str(report.longrepr),
            "at": crash.lineno if crash is not None and is_trial(crash.path) else None,
            "duration": report.duration,
        }
    )


def pytest_warning_recorded(warning_message, when, nodeid, location):
    if when == "runtest":
        SEEN.append({"kind": "warning", "test": nodeid, "message": str(warning_message.message)})


def pytest_sessionfinish(session):
    pathlib.Path(os.environ["TRIAL_RECORD"]).write_text(json.dumps(SEEN, default=str))
