"""Suites for the scheduler's tests, by Hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from pytest_slipstream.scheduling.suite import Fixture, Suite, Test

SECONDS = st.integers(0, 2000).map(lambda milliseconds: milliseconds / 100)


@st.composite
def suites(draw: st.DrawFn, most: int = 40) -> Suite:
    """Tests in a few files, some with fixtures of their file, of all, or in a group."""
    fixtures = draw(
        st.dictionaries(
            st.sampled_from("abcdef"), st.builds(Fixture, SECONDS, st.booleans()), max_size=6
        )
    )
    needs = st.sets(st.sampled_from(sorted(fixtures)), max_size=3) if fixtures else st.just(())
    tests = draw(
        st.lists(
            st.builds(
                Test,
                node_id=st.builds("test_{}.py::test_{}".format, st.integers(0, 4), st.integers()),
                seconds=SECONDS,
                fixtures=needs.map(sorted).map(tuple),
                group=st.sampled_from([None, None, None, "g", "h"]),
                urgent=st.booleans(),
            ),
            max_size=most,
        )
    )
    return Suite(tests, fixtures)
