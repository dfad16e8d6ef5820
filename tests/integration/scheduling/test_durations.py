"""What whole runs leave in the duration history."""

from __future__ import annotations

import json
import os

import pytest

SHARED = """
    import time

    import pytest


    @pytest.fixture(scope="session")
    def outer():
        time.sleep(0.2)
        yield
        time.sleep(0.1)


    @pytest.fixture(scope="module")
    def inner(request):
        request.getfixturevalue("outer")
        time.sleep(0.3)
        yield
        time.sleep(0.15)


    @pytest.fixture
    def own(inner):
        time.sleep(0.05)
        yield
        time.sleep(0.04)


    @pytest.mark.xdist_group("together")
    def test_first(own):
        time.sleep(0.1)


    @pytest.mark.xdist_group("together")
    def test_last(own):
        pass
"""


@pytest.mark.parametrize("options", [(), ("-n", "2", "--dist", "loadgroup")], ids=["one", "xdist"])
def test_each_second_is_counted_once_where_it_was_spent(project, options):
    project.run(*options, tests=SHARED).assert_outcomes(passed=2)
    fixtures = project.recorded()["fixtures"]
    tests = project.recorded()["tests"]["test_it.py"]
    # Each is at least what was slept, and less than with any other's sleep added.
    for (_, call, set_up, torn_down), slept in [
        (*fixtures["test_it.py::outer"], (0, 200, 100)),
        (*fixtures["test_it.py::inner"], (0, 300, 150)),
        (*tests["test_first"], (100, 50, 40)),
    ]:
        for measured, least in zip((call, set_up, torn_down), slept, strict=True):
            assert least - 1 <= measured < least + 95
    assert set(tests) == {"test_first", "test_last"}


def test_a_test_cannot_falsify_the_clock(project):
    result = project.run(
        tests="""
            import datetime
            import time

            import freezegun
            import pytest
            import time_machine


            def test_freezegun():
                with freezegun.freeze_time("1985-10-26") as frozen:
                    frozen.tick(datetime.timedelta(days=10_000))


            @pytest.fixture
            def frozen():
                freezer = freezegun.freeze_time("1985-10-26")
                freezer.start()
                yield
                freezer.stop()


            @pytest.fixture
            def travelled():
                with time_machine.travel(0):
                    yield


            def test_freezegun_until_teardown(frozen):
                assert time.time() < 1e9


            def test_time_machine_until_teardown(travelled):
                assert time.time() < 1e9
        """
    )
    result.assert_outcomes(passed=3)
    tests = project.recorded()["tests"]["test_it.py"]
    assert len(tests) == 3
    assert all(sum(samples[0][1:]) < 60_000 for samples in tests.values())
    assert all(samples[0][0] > 500_000 for samples in tests.values())


def test_a_run_adds_to_what_others_left(project):
    project.run("-k", "one", tests="def test_one(): pass\ndef test_two(): pass")
    project.run("-k", "two")
    assert set(project.recorded()["tests"]["test_it.py"]) == {"test_one", "test_two"}


def test_a_test_that_fails_is_not_recorded_and_one_that_is_rerun_by_its_last_turn(project):
    result = project.run(
        "--reruns",
        "1",
        tests="""
            import time

            turns = []


            def test_fails():
                assert False


            def test_at_last():
                turns.append(1)
                if len(turns) == 1:
                    time.sleep(0.5)
                    assert False
        """,
    )
    result.assert_outcomes(passed=1, failed=1)
    ((_, call, *_),) = project.recorded()["tests"]["test_it.py"].pop("test_at_last")
    assert call < 400
    assert project.recorded()["tests"]["test_it.py"].keys() == {"test_at_last"}


@pytest.mark.parametrize(
    "options", [(), ("--shard", "1/1"), ("--shard", "1/1", "-n", "1")], ids=["run", "shard", "both"]
)
def test_a_history_that_cannot_be_read_costs_no_test_and_stays(project, options):
    project.history.parent.mkdir()
    project.history.write_text("<<<<<<< HEAD")
    result = project.run(*options, tests="def test_it(): pass")
    assert result.ret == 0
    assert result.stdout.str().count("slipstream: the duration history ") == 1
    assert project.history.read_text() == "<<<<<<< HEAD"


def test_nothing_is_written_unless_it_is_wanted(project):
    project.configure("[tool.other]")
    project.run(tests="def test_it(): pass")
    assert not (project.path / ".slipstream").exists()
    project.run("--slipstream-durations", "--slipstream-durations-file", "kept/here.json")
    assert json.loads((project.path / "kept" / "here.json").read_bytes())["version"] == 1


@pytest.mark.usefixtures("shared_cache_dir")
def test_with_a_database_durations_are_recorded_unless_switched_off(project):
    project.configure('[tool.slipstream.databases.main]\nengine = "sqlite"')
    project.run("--no-slipstream-durations", tests="def test_it(db): pass")
    assert not project.history.exists()
    project.run()
    assert set(project.recorded()["tests"]) == {"test_it.py"}


@pytest.mark.usefixtures("shared_cache_dir")
def test_the_first_test_does_not_pay_for_the_template(project):
    project.configure(
        """
        [tool.slipstream.databases.main]
        engine = "sqlite"
        seed = "slow:fill"
        """
    )
    project.write({"slow.py": "import time\n\n\ndef fill():\n    time.sleep(1)\n"})
    project.run(tests="def test_it(db): pass").assert_outcomes(passed=1)
    ((_, *phases),) = project.recorded()["tests"]["test_it.py"]["test_it"]
    assert sum(phases) < 900


def test_a_directory_whose_name_is_no_text_costs_its_figures_alone(project):
    directory = os.fsencode(project.path) + b"/caf\xe9"
    try:
        os.mkdir(directory)  # noqa: PTH102 - a path cannot be made of these bytes
    except OSError:
        pytest.skip("this file system takes text only")
    with open(directory + b"/test_x.py", "w") as file:  # noqa: PTH123
        file.write("def setup_module(): pass\n\n\ndef test_x(): pass\n")
    # pytester reads the output as UTF-8, and the terminal would name the directory.
    assert project.run("-p", "no:terminal", tests="def test_it(): pass").ret == 0
    assert set(project.recorded()["tests"]) == {"test_it.py"}
