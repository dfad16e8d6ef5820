"""What machines of one build agree on."""

from __future__ import annotations

import pytest

from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.scheduling.atoms import Atom
from pytest_slipstream.scheduling.builds import (
    build_id,
    collected,
    difference,
    handed_out,
    machine_name,
    machines_expected,
    requeue_cap,
)


def test_the_option_names_the_build_before_the_service_does() -> None:
    github = {"GITHUB_RUN_ID": "7", "GITHUB_JOB": "tests"}
    assert build_id("mine", github) == "mine"
    assert build_id(None, github) == "7-tests"


def test_an_attempt_whose_machines_cannot_be_known_again_is_a_build_of_its_own() -> None:
    github = {"GITHUB_RUN_ID": "7", "GITHUB_JOB": "tests", "GITHUB_RUN_ATTEMPT": "1"}
    assert build_id(None, github, known_again=False) == "7-tests"
    github["GITHUB_RUN_ATTEMPT"] = "2"
    assert build_id(None, github, known_again=False) == "7-tests-2"
    assert build_id(None, github, known_again=True) == "7-tests"
    assert build_id("mine", github, known_again=False) == "mine"


@pytest.mark.parametrize(
    ("environ", "build"),
    [
        ({"CI_PIPELINE_ID": "7", "CI_PROJECT_ID": "1", "CI_JOB_NAME": "unit 2/8"}, "7-1-unit"),
        ({"CI_PIPELINE_ID": "7", "CI_PROJECT_ID": "1", "CI_JOB_NAME": "e2e"}, "7-1-e2e"),
        (
            {
                "BUILDKITE_BUILD_ID": "7",
                "BUILDKITE_PIPELINE_ID": "1",
                "BUILDKITE_STEP_ID": "0a-1b",
                "BUILDKITE_PARALLEL_JOB": "2",
            },
            "7-1-0a-1b",
        ),
    ],
)
def test_two_jobs_of_a_pipeline_are_two_builds(environ: dict[str, str], build: str) -> None:
    assert build_id(None, environ) == build


def test_a_build_without_an_id_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="has no id: none of GITHUB_RUN_ID") as caught:
        build_id(None, {"GITHUB_RUN_ID": "7"})
    assert "--build ID" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"CI_NODE_INDEX": "3", "CI_NODE_TOTAL": "8"}, "3"),
        ({"CIRCLE_NODE_INDEX": "2", "CIRCLE_NODE_TOTAL": "8"}, "3"),
        ({"CI_NODE_INDEX": "three", "CI_NODE_TOTAL": "8"}, "host-1"),
        ({}, "host-1"),
    ],
)
def test_machines_are_named_by_their_job(environ: dict[str, str], name: str) -> None:
    assert machine_name(None, environ, "host-1") == name
    assert machine_name("mine", environ, "host-1") == "mine"


def test_as_many_machines_are_expected_as_the_service_has_jobs() -> None:
    assert machines_expected({"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "20"}) == 20
    assert machines_expected({"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "0"}) == 1
    assert machines_expected({}) == 8


def test_tests_have_the_same_numbers_in_whatever_order_they_were_collected() -> None:
    here = collected(["b", "a", "c", "a"], "Python 3.13")
    there = collected(["a", "c", "b", "a"], "Python 3.13")
    assert here.digest == there.digest
    assert [["b", "a", "c", "a"][n] for n in here.order] == ["a", "a", "b", "c"]
    assert [["a", "c", "b", "a"][n] for n in there.order] == ["a", "a", "b", "c"]


def test_what_differs_is_said() -> None:
    here = collected(["a", "b", "x"], "Python 3.13")
    there = collected(["a", "b", "b"], "Python 3.12")
    assert here.digest != there.digest
    said = difference(here.packed, there.packed)
    assert "run by Python 3.13, and the build by Python 3.12" in said
    assert "only here: 1 tests: x" in said
    assert "only there: 1 tests: b" in said


def test_urgent_atoms_are_handed_out_first_then_the_longest() -> None:
    atoms = [
        Atom(tests=(0, 2), seconds=1.0),
        Atom(tests=(1,), seconds=5.0),
        Atom(tests=(3,), seconds=0.1, urgent=True),
    ]
    # numbers: what stands at each is the position in the machine's own order
    assert handed_out(atoms, [3, 2, 1, 0]) == ((0,), (2,), (3, 1))


def test_few_tests_are_run_again_however_many_fail() -> None:
    assert requeue_cap(10) == 10
    assert requeue_cap(1000) == 50
