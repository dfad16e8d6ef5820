"""Each trial's tests, run in sequence and in flight together: reporters are told the same."""

from __future__ import annotations

import pytest

from trials import TRIALS, Run, Trial

NAMES = sorted(path.stem for path in TRIALS.glob("*.py") if path.stem != "recording_conftest")


STRICT = {"anyio_backends", "anyio_tests"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, tuple[Run, Run]]:
    """The runs in strict mode and not."""
    found = {}
    for strict in (True, False):
        trial = Trial(tmp_path_factory.mktemp("trials"))
        if strict:
            trial.configure(pytest="")
        for name in NAMES:
            if (name in STRICT) is strict:
                trial.add(name)
        found[strict] = trial.run(), trial.run(concurrency=50)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_reporters_are_told_the_same(runs: dict[bool, tuple[Run, Run]], name: str) -> None:
    of_mode = runs[name in STRICT]
    sequential, together = (
        {test: told for test, told in run.told().items() if test.startswith(f"test_{name}.py")}
        for run in of_mode
    )
    assert sequential, of_mode[0].output
    assert together == sequential, of_mode[1].output


def test_tests_were_in_flight_together(runs: dict[bool, tuple[Run, Run]]) -> None:
    assert len(runs[False][1].together()) > 90, runs[False][1].output
    assert len(runs[True][1].together()) > 9, runs[True][1].output


def test_the_runs_end_alike(runs: dict[bool, tuple[Run, Run]]) -> None:
    assert [run.code for pair in runs.values() for run in pair] == [1, 1, 1, 1]
