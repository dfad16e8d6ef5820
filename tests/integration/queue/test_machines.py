"""Machines that pull from one queue: all goes well, and what differs is said."""

from __future__ import annotations

from machines import Trial
from redis_server import RedisServer, free_port


def test_each_test_is_reported_by_one_machine(trial: Trial) -> None:
    count = trial.write_gated("a", "b", "c")
    trial.open("a", "b", "c")
    machines = [trial.start(name) for name in ("1", "2")]
    assert [machine.wait() for machine in machines] == [0, 0], machines[0].output
    reported = machines[0].reported() + machines[1].reported()
    assert len(reported) == count
    assert set(reported.values()) == {1}
    assert set(trial.ran().values()) == {1}
    merged = trial.merge()
    assert merged.returncode == 0, merged.stdout + merged.stderr
    assert f"{count} tests, 0 failed" in merged.stdout


def test_a_machine_that_comes_when_all_is_done_says_so_and_passes(trial: Trial) -> None:
    trial.write_gated("a")
    trial.open("a")
    assert trial.start("1").wait() == 0
    late = trial.start("2")
    assert late.wait() == 0
    assert not late.reported()
    assert "other machines ran all 9 tests before this one could begin" in late.output
    assert trial.merge().returncode == 0
    # If it were a new build with an old id, what its machines left would not be whole.
    trial.machines = [late]
    alone = trial.merge()
    assert alone.returncode == 2
    assert "reported by no machine: 9 tests" in alone.stdout


def test_a_job_that_is_run_again_runs_what_it_ran(trial: Trial) -> None:
    trial.write_gated("a", "b")
    trial.write("test_bad.py", "def test_bad(): assert False")
    first = trial.start("1")
    at_gate = trial.at_gate("a")
    other = trial.start("2")
    trial.open("a", "b")
    assert {at_gate.wait(), other.wait()} <= {0, 1}
    again = trial.start("1", again=True)
    assert again.wait() == first.process.returncode
    assert again.reported() == first.reported()
    merged = trial.merge()
    assert merged.returncode == 1, merged.stdout + merged.stderr
    assert "machine 1 ran again later" in merged.stdout
    assert "19 tests, 1 failed" in merged.stdout


def test_two_builds_at_once_have_nothing_in_common(trial: Trial) -> None:
    count = trial.write_gated("a")
    trial.open("a")
    one = trial.start("1")
    other = trial.start("2", "--build", "other")
    assert (one.wait(), other.wait()) == (0, 0)
    assert one.reported() == other.reported()
    assert one.reported().total() == count


def test_a_failed_test_that_passes_elsewhere_is_flaky(trial: Trial) -> None:
    trial.write_gated("a", "b")
    trial.write(
        "test_flaky.py",
        """
        import os

        def test_flaky():
            assert os.environ["MACHINE"] == "2", "only on machine 2"
        """,
    )
    first = trial.start("1", "--slipstream-requeues", "1", "test_flaky.py", "test_a.py")
    trial.at_gate("a")
    second = trial.start("2", "test_flaky.py", "test_a.py")
    trial.until("2", lambda machine: machine.state in ("running", "watching"))
    trial.open("a")
    assert (first.wait(), second.wait()) == (0, 0), first.output + second.output
    reported = first.reported() + second.reported()
    assert reported["test_flaky.test_flaky"] == 1
    if "test_flaky.test_flaky" in second.reported() and "only on machine 2" in first.output:
        assert "failed on 1, and passed here" in second.output
    assert trial.merge().returncode == 0


def test_one_that_fails_everywhere_is_reported_once(trial: Trial) -> None:
    trial.write("test_bad.py", "def test_bad(): assert False")
    trial.write_gated("a")
    first = trial.start("1", "--slipstream-requeues", "1")
    trial.at_gate("a")
    second = trial.start("2")
    trial.until("2", lambda machine: True)
    trial.open("a")
    assert sorted((first.wait(), second.wait())) == [0, 1], first.output + second.output
    assert (first.reported() + second.reported())["test_bad.test_bad"] == 1
    assert trial.ran()["test_a.py::test_gate"] == 1
    assert trial.merge().returncode == 1


def test_a_machine_with_other_tests_is_refused_with_the_difference(trial: Trial) -> None:
    trial.write_gated("a")
    trial.open("a")
    assert trial.start("1").wait() == 0
    trial.write("test_more.py", "def test_more(): pass")
    other = trial.start("2")
    assert other.wait() == 4
    assert "only here: 1 tests: test_more.py::test_more" in other.output
    assert "--build" in other.output


def test_a_machine_name_used_twice_is_refused(trial: Trial) -> None:
    trial.write_gated("a")
    first = trial.start("1")
    trial.at_gate("a")
    second = trial.start("1", again=True)
    assert second.wait() == 4
    assert "a machine '1' is at work on the build 'b' already" in second.output
    trial.open("a")
    assert first.wait() == 0


def test_status_shows_machines_and_progress(trial: Trial) -> None:
    trial.write_gated("a", "b")
    first = trial.start("1")
    trial.at_gate("a")
    shown = trial.slipstream("queue", "status", "b", "--queue", trial.url)
    assert "of 18 tests reported" in shown.stdout
    assert "running" in shown.stdout
    trial.open("a", "b")
    assert first.wait() == 0
    shown = trial.slipstream("queue", "status", "b", "--queue", trial.url)
    assert "18 of 18 tests reported, 0 failed" in shown.stdout
    missing = trial.slipstream("queue", "status", "c", "--queue", trial.url)
    assert missing.returncode == 1
    assert "there is no build 'c'" in missing.stderr


def test_without_an_answer_the_shard_is_run_and_it_is_said(trial: Trial) -> None:
    count = trial.write_gated("a", "b")
    trial.open("a", "b")
    trial.url = f"redis://user:secret@127.0.0.1:{free_port()}"
    machines = [trial.start(name, CI_NODE_INDEX=name, CI_NODE_TOTAL="2") for name in ("1", "2")]
    assert [machine.wait() for machine in machines] == [0, 0], machines[0].output
    assert "cannot be reached" in machines[0].output
    assert "shard 1/2 is run instead" in machines[0].output
    assert "secret" not in machines[0].output
    assert (machines[0].reported() + machines[1].reported()).total() == count
    assert trial.merge().returncode == 0


def test_without_an_answer_and_a_shard_nothing_is_run(trial: Trial) -> None:
    trial.write_gated("a")
    trial.url = f"redis://127.0.0.1:{free_port()}"
    machine = trial.start("1")
    assert machine.wait() == 4
    assert "which shard to run instead is not known" in machine.output
    assert "CI_NODE_INDEX" in machine.output


def test_a_machine_that_did_not_reach_the_queue_is_noted(
    trial: Trial, redis_server: RedisServer
) -> None:
    trial.write_gated("a", "b")
    trial.open("a", "b")
    assert trial.start("1").wait() == 0
    redis_server.stop()
    assert trial.start("2", CI_NODE_INDEX="2", CI_NODE_TOTAL="2").wait() == 0
    merged = trial.merge()
    assert merged.returncode == 0, merged.stdout
    assert "shard 2/2 did not reach the queue" in merged.stdout
    assert "reported by more than one machine" in merged.stdout


def test_a_pytest_that_a_test_starts_does_not_join(trial: Trial) -> None:
    trial.write("inner/test_inner.py", "def test_inner(): pass")
    trial.write(
        "test_outer.py",
        """
        import subprocess
        import sys

        def test_outer():
            assert subprocess.run([sys.executable, "-m", "pytest", "inner"]).returncode == 0
        """,
    )
    url, trial.url = trial.url, ""
    machine = trial.start("1", "test_outer.py", SLIPSTREAM_QUEUE=url)
    assert machine.wait() == 0, machine.output
    assert "1 tests published" in machine.output


def test_a_machine_that_cannot_collect_all_does_not_take_part(trial: Trial) -> None:
    trial.write_gated("a")
    trial.open("a")
    trial.write(
        "test_broken.py",
        """
        import os

        assert os.environ["MACHINE"] == "2"

        def test_more(): pass
        """,
    )
    assert trial.start("1").wait() == 2
    whole = trial.start("2")
    assert whole.wait() == 0, whole.output
    assert whole.reported().total() == 10


def test_shard_and_queue_exclude_each_other(trial: Trial) -> None:
    trial.write_gated("a")
    machine = trial.start("1", "--shard", "1/2")
    assert machine.wait() == 4
    assert "only one of them can say which tests this machine runs" in machine.output


def test_workers_of_pytest_xdist_cannot_pull(trial: Trial) -> None:
    trial.write_gated("a")
    machine = trial.start("1", "-p", "xdist.plugin", "-n", "2")
    assert machine.wait() == 4
    assert "-n 2 and --queue are both given" in machine.output
