"""Machines of a queue that run what they pull on workers, or with tests in flight together."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from machines import Trial

OVERLAPPING = """
    import asyncio
    import os
    from pathlib import Path

    import pytest

    SHARED = Path(os.environ["TRIAL"])


    @pytest.mark.parametrize("n", range(3))
    async def test_meets_another(n):
        # Ends only where another of these is in flight with it, in the same process.
        mark = SHARED / f"{os.getpid()}-{n}"
        mark.touch()
        while len(list(SHARED.glob(f"{os.getpid()}-*"))) < 2:
            await asyncio.sleep(0.01)
"""


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("--workers-start", "spawn", "--slipstream-concurrency", "1"), id="spawned"),
        pytest.param(("--slipstream-concurrency", "3"), id="forked and overlapping"),
    ],
)
def test_each_test_is_reported_once(trial: Trial, options: Sequence[str]) -> None:
    count = trial.write_gated("a", "b", "c")
    trial.write("test_async.py", "async def test_one(): pass\nasync def test_two(): pass")
    count += 2
    trial.open("a", "b", "c")
    machines = [trial.start(name, "--workers", "2", *options) for name in ("1", "2")]
    assert [machine.wait() for machine in machines] == [0, 0], machines[0].output
    reported = machines[0].reported() + machines[1].reported()
    assert len(reported) == count
    assert set(reported.values()) == {1}
    assert "2 workers run what is pulled" in machines[0].output
    merged = trial.merge()
    assert merged.returncode == 0, merged.stdout + merged.stderr
    assert f"{count} tests, 0 failed" in merged.stdout


def test_tests_overlap_in_a_machine_without_workers(trial: Trial) -> None:
    trial.write("test_meeting.py", OVERLAPPING)
    machine = trial.start("1", "--slipstream-concurrency", "3")
    assert machine.wait() == 0, machine.output
    assert machine.reported().total() == 3


def test_a_crashed_worker_s_test_is_reported_once(trial: Trial) -> None:
    count = trial.write_gated("a", "b")
    trial.open("a", "b")
    trial.write(
        "test_crash.py",
        """
        import os

        import pytest

        @pytest.fixture(scope="module", autouse=True)
        def wide(): pass

        def test_before(): pass
        def test_crash(): os._exit(7)
        def test_after(): pass
        """,
    )
    machines = [
        trial.start(name, "--workers", "2", "--slipstream-requeues", "1") for name in ("1", "2")
    ]
    assert sorted(machine.wait() for machine in machines) == [0, 1], machines[0].output
    reported = machines[0].reported() + machines[1].reported()
    assert len(reported) == count + 3
    assert set(reported.values()) == {1}
    output = machines[0].output + machines[1].output
    assert "ended with exit status 7 while it ran this test" in output
    assert "is run again elsewhere: test_crash.py::test_crash" in output
    merged = trial.merge()
    assert merged.returncode == 1, merged.stdout + merged.stderr
    assert f"{count + 3} tests, 1 failed" in merged.stdout


def test_maxfail_stops_the_workers_of_a_machine(trial: Trial) -> None:
    trial.write(
        "test_bad.py",
        """
        import os
        import time
        from pathlib import Path

        def test_bad():
            while not (Path(os.environ["TRIAL"]) / "gate-a").exists():
                time.sleep(0.01)
            raise AssertionError("while the other worker is in the gate")
        """,
    )
    trial.write_gated("a")
    machine = trial.start("1", "--workers", "2", "--maxfail", "1")
    trial.at_gate("a")
    trial.until("1", lambda seen: seen.failed == 1)
    trial.open("a")
    assert machine.wait() == 1, machine.output
    assert "stopping after 1 failures" in machine.output


def test_spawned_workers_know_the_build_and_their_tests_do_not(trial: Trial) -> None:
    trial.write(
        "test_environment.py",
        """
        import os

        def test_environment():
            assert "SLIPSTREAM_QUEUE" not in os.environ
        """,
    )
    url, trial.url = trial.url, ""
    machine = trial.start("1", "--workers", "2", "--workers-start", "spawn", SLIPSTREAM_QUEUE=url)
    assert machine.wait() == 0, machine.output
    assert machine.reported().total() == 1


def test_workers_run_the_shard_where_the_queue_does_not_answer(trial: Trial) -> None:
    count = trial.write_gated("a", "b")
    trial.open("a", "b")
    trial.url = "redis://127.0.0.1:1"
    options = ("--workers", "2", "--workers-start", "spawn")
    machines = [
        trial.start(name, *options, CI_NODE_INDEX=name, CI_NODE_TOTAL="2") for name in ("1", "2")
    ]
    assert [machine.wait() for machine in machines] == [0, 0], machines[0].output
    assert "shard 1/2 is run instead" in machines[0].output
    assert (machines[0].reported() + machines[1].reported()).total() == count
