"""Whether two measurements did the same work on the same machine. Pure.

The invariant: a command that did less is never called faster, nor one that did more slower.
"""

from __future__ import annotations

import msgspec

from pytest_slipstream.measure.values import Measurement

_RAN = frozenset(("passed", "xfailed", "xpassed"))
"""Outcomes of tests that ran to their end. Others may have taken less than they would."""


class Differences(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between a baseline and a candidate.

    Args:
        gained: Tests that only the candidate has.
        lost: Tests that only the baseline has.
        changed: The outcomes of tests that ended otherwise, baseline first.
        ran_in_baseline_only: Tests that ran to their end there in every run, and not in the
            candidate.
        ran_in_candidate_only: The contrary.
        machine: How the machines differ, a sentence each.
        setting: How the versions and the number of workers differ, a sentence each.
    """

    gained: tuple[str, ...]
    lost: tuple[str, ...]
    changed: dict[str, tuple[str, str]]
    ran_in_baseline_only: tuple[str, ...]
    ran_in_candidate_only: tuple[str, ...]
    machine: tuple[str, ...]
    setting: tuple[str, ...]


def differences(baseline: Measurement, candidate: Measurement) -> Differences:
    """What differs."""
    before, after = baseline.tests, candidate.tests
    return Differences(
        gained=tuple(sorted(after.keys() - before.keys())),
        lost=tuple(sorted(before.keys() - after.keys())),
        changed={
            node_id: (before[node_id], after[node_id])
            for node_id in sorted(before.keys() & after.keys())
            if before[node_id] != after[node_id]
        },
        ran_in_baseline_only=tuple(sorted(_ran_to_end(before) - _ran_to_end(after))),
        ran_in_candidate_only=tuple(sorted(_ran_to_end(after) - _ran_to_end(before))),
        machine=_machine(baseline, candidate),
        setting=_setting(baseline, candidate),
    )


def _ran_to_end(tests: dict[str, str]) -> set[str]:
    """Those that did so in every run."""
    return {node_id for node_id, seen in tests.items() if _RAN.issuperset(seen.split(" or "))}


def _machine(baseline: Measurement, candidate: Measurement) -> tuple[str, ...]:
    one, other = baseline.machine, candidate.machine
    compared = (
        ("processor", one.processor, other.processor),
        ("cores", one.cores, other.cores),
        # Kernels of one machine differ in what they keep for themselves.
        ("GB of memory", round(one.memory_bytes / 2**30), round(other.memory_bytes / 2**30)),
        ("system", one.system, other.system),
    )
    return tuple(f"{what}: {a}, {b}" for what, a, b in compared if a != b)


def _setting(baseline: Measurement, candidate: Measurement) -> tuple[str, ...]:
    one, other = (_versions(side) for side in (baseline, candidate))
    versions = [
        f"{name}: {one.get(name, 'none')}, {other.get(name, 'none')}"
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name)
    ]
    if baseline.workers != candidate.workers:
        versions.append(f"workers: {baseline.workers or 'none'}, {candidate.workers or 'none'}")
    if baseline.memory_kind != candidate.memory_kind:
        versions.append(f"memory is {baseline.memory_kind}, {candidate.memory_kind}")
    return tuple(versions)


def _versions(side: Measurement) -> dict[str, str]:
    software = side.software
    own = {"Python": software.python, "pytest": software.pytest}
    return own | software.plugins | software.servers
