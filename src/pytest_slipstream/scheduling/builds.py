"""A build that many machines share: its id, their names, what they agree on. Pure.

The invariant: machines that collected the same tests call each test by the same number, in whatever
order they collected; machines that did not are told what makes the difference.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.scheduling.atoms import Atom
from pytest_slipstream.scheduling.shards import VARIABLES

_BUILDS = (
    ("GITHUB_RUN_ID", "GITHUB_JOB"),
    ("CI_PIPELINE_ID", "CI_PROJECT_ID", "CI_JOB_NAME"),  # GitLab
    ("CIRCLE_WORKFLOW_ID", "CIRCLE_JOB"),
    ("BUILDKITE_BUILD_ID", "BUILDKITE_PIPELINE_ID", "BUILDKITE_STEP_ID"),
)
"""What names a build, the same for all of its parallel jobs and when one of them is run again."""

_NUMBERED = re.compile(r"\s+\d+/\d+$")
"""What GitLab adds to the name of a job for each of its parallel ones."""

_ATTEMPT = "GITHUB_RUN_ATTEMPT"
"""How often jobs of the run were started; the other services' ids are new, or jobs have numbers."""

_SHOWN = 10
_LEAST_CAP = 10
_SHARE_AGAIN = 0.05
"""Of all tests so many are run again; where more fail, nothing is flaky."""


def build_id(named: str | None, environ: Mapping[str, str], *, known_again: bool = True) -> str:
    """The build's id: the option's, or what the CI service's variables say.

    Args:
        named: The option.
        environ: The environment.
        known_again: Whether a CI job that is run again has the machine's name that it had. If not,
            it would find all done, run nothing and pass: each attempt is a build of its own.

    Raises:
        ConfigurationError: Neither says.
    """
    if named:
        return named
    for variables in _BUILDS:
        if all(environ.get(name) for name in variables):
            parts = [_NUMBERED.sub("", environ[name]) for name in variables]
            attempt = environ.get(_ATTEMPT, "1")
            return "-".join(parts if known_again or attempt == "1" else [*parts, attempt])
    looked_for = ", ".join(variables[0] for variables in _BUILDS)
    raise ConfigurationError(
        f"the queue's build has no id: none of {looked_for} is set",
        hint="the same id on all machines of one build, and on no other: "
        "pytest --queue URL --build ID",
    )


def machine_name(named: str | None, environ: Mapping[str, str], otherwise: str) -> str:
    """What a machine calls itself: the option's, its number among the CI's parallel jobs, or else.

    Args:
        named: The option.
        environ: The environment.
        otherwise: A name that no other machine has.
    """
    if named:
        return named
    for index, total, base in VARIABLES:
        if environ.get(index, "").isdigit() and total in environ:
            return str(int(environ[index]) + 1 - base)
    return otherwise


def machines_expected(environ: Mapping[str, str], otherwise: int = 8) -> int:
    """How many machines a build may have, which decides how finely the suite is cut."""
    for index, total, _ in VARIABLES:
        if index in environ and environ.get(total, "").isdigit():
            return max(1, int(environ[total]))
    return otherwise


class Collected(msgspec.Struct, frozen=True):
    """What a machine collected, as all name it.

    Args:
        order: Positions in the machine's own order, by number.
        digest: The same where the tests and the kind of run are.
        packed: The kind of run and the node ids by number, for those that differ.
    """

    order: tuple[int, ...]
    digest: str
    packed: bytes


def collected(node_ids: Sequence[str], kind: str) -> Collected:
    """Number the tests that were collected.

    Args:
        node_ids: In the machine's own order.
        kind: What else must be the same: lanes, Python, system.
    """
    order = sorted(range(len(node_ids)), key=lambda n: (node_ids[n], n))
    text = "\n".join([kind, *(node_ids[n] for n in order)]).encode(errors="replace")
    return Collected(tuple(order), hashlib.sha256(text).hexdigest()[:16], zlib.compress(text))


def difference(ours: bytes, theirs: bytes) -> str:
    """What one machine collected and the others did not, in words."""
    (our_kind, *our_ids), (their_kind, *their_ids) = (
        zlib.decompress(packed).decode().split("\n") for packed in (ours, theirs)
    )
    found = [f"it is run by {our_kind}, and the build by {their_kind}"] * (our_kind != their_kind)
    for what, surplus in (
        ("only here", Counter(our_ids) - Counter(their_ids)),
        ("only there", Counter(their_ids) - Counter(our_ids)),
    ):
        if surplus:
            names = sorted(surplus)
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            found.append(f"{what}: {surplus.total()} tests: {', '.join(names[:_SHOWN])}{more}")
    return "; ".join(found)


def handed_out(atoms: Sequence[Atom], order: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """The atoms as the queue hands them out: urgent ones, then longest first.

    Args:
        atoms: Of positions in the machine's own order.
        order: As `Collected` has it.
    """
    numbers = {position: number for number, position in enumerate(order)}
    first = sorted(atoms, key=lambda atom: (not atom.urgent, -atom.seconds))
    return tuple(tuple(numbers[position] for position in atom.tests) for atom in first)


def requeue_cap(tests: int) -> int:
    """How many tests of a build are run again at most."""
    return max(_LEAST_CAP, round(_SHARE_AGAIN * tests))
