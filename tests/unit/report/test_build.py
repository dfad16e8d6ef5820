"""The summary of a merged build."""

from __future__ import annotations

from pytest_slipstream import events
from pytest_slipstream.report.build import markdown, within

END = events.BuildMerged(
    worker="merge",
    exit_status=2,
    problems=("missing: shard 2/2",),
    failed=("test_a::test_b",),
    tests=3,
    skipped=1,
)
RUN = (
    events.RunStarted(testrun_uid="u", version="1", worker="fast, shard 1/2, main", at=10.0),
    events.ShardChosen(
        worker="fast, shard 1/2, gw0", shard="1/2", digest="d", tests=3, of_tests=6, seconds=4.0
    ),
    events.RunFinished(worker="fast, shard 1/2, gw0", exit_status=0, server_seconds=0, at=12.0),
    events.RunFinished(worker="fast, shard 1/2, main", exit_status=1, server_seconds=0, at=15.0),
)


def test_it_says_what_became_of_the_build_and_of_each_machine():
    text = markdown([*RUN, END])
    assert text.startswith("## The build is not whole\n")
    assert "- missing: shard 2/2\n" in text
    assert "- `test_a::test_b`\n" in text
    assert "3 tests, 1 failed, 1 skipped\n" in text
    assert text.endswith("| fast, shard 1/2 | 3 | 4 s | 5 s | 1 |\n")


def test_a_machine_that_did_not_end_has_no_exit_status():
    assert markdown([RUN[0], END]).endswith("| fast, shard 1/2 |  |  |  | none |\n")


def test_what_is_too_long_is_cut_at_the_end_of_a_line():
    text = "a line é\n" * 1000
    assert within(text, len(text.encode())) == text
    for limit in range(95, 120):
        cut = within(text, limit)
        assert len(cut.encode()) <= limit
        assert cut.endswith("the rest is in the merged run record.\n")
        assert set(cut.splitlines()[:-1]) <= {"a line é", ""}
    assert within(text, -1) == within(text, 10) == ""
