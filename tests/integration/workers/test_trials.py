"""The same tests in sequence and on workers: reporters are told the same of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import trials
from trials import Run, Trial

OWN = Path(__file__).parent / "trials" / "synchronous.py"
SHARED = ("outcomes", "outputs", "broken_fixtures", "parameters")
"""Of asynchronous tests; `outputs` and `parameters` need the run loop's own trials to be equal."""

WAYS = {
    "fork": ("--workers=2",),
    "spawn": ("--workers=2", "--workers-start=spawn"),
    "overlapping": ("--workers=2", "--slipstream-concurrency=20"),
}


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    trial = Trial(tmp_path_factory.mktemp("trial"))
    trial.add("synchronous", OWN.read_text())
    for name in SHARED:
        trial.add(name, (trials.TRIALS / f"{name}.py").read_text())
    return trial


@pytest.fixture(scope="module")
def sequential(trial: Trial) -> Run:
    return trial.run()


@pytest.mark.parametrize("way", WAYS)
def test_reporters_are_told_the_same(trial: Trial, sequential: Run, way: str) -> None:
    run = trial.run(*WAYS[way])
    assert run.code == sequential.code == 1, run.output
    told, expected = run.told(), sequential.told()
    assert told.keys() == expected.keys()
    different = {
        test: (of_test, expected[test])
        for test, of_test in told.items()
        if comparable(of_test) != comparable(expected[test])
    }
    assert different == {}


def comparable(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what shared fixtures write: which test is their first depends on the worker."""
    return [
        {
            **entry,
            "sections": [
                (name, own) for name, text in entry.get("sections", ()) if (own := own_part(text))
            ],
        }
        for entry in told
    ]


def own_part(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not of_shared(line))


def of_shared(line: str) -> bool:
    return line.startswith(("set up", "torn down", "wide"))
