"""Shards in whole runs: every test on one machine, and what is said."""

from __future__ import annotations

import re

import pytest

TESTS = """
    import pytest


    @pytest.fixture(scope="module")
    def shared():
        yield


    @pytest.mark.parametrize("n", range(6))
    def test_alone(n):
        pass


    @pytest.mark.parametrize("n", range(6))
    def test_shared(shared, n):
        pass
"""


def ran(result: pytest.RunResult) -> list[str]:
    return re.findall(r"test_it\.py::\w+\[\d\]", result.stdout.str())


def digests(result: pytest.RunResult) -> list[str]:
    return re.findall(r"slipstream: shard .* digest (\w+)", result.stdout.str())


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one", "xdist"])
def test_every_test_runs_on_one_machine(project, options):
    project.write({"test_it.py": TESTS})
    results = [project.run("-v", *options, "--shard", f"{number}/2") for number in (1, 2)]
    assert [result.ret for result in results] == [0, 0]
    # Verbose pytest-xdist names a test when it starts, and again with its result.
    everywhere = [node_id for result in results for node_id in set(ran(result))]
    assert len(everywhere) == len(set(everywhere)) == 12
    said = [digests(result) for result in results]
    assert len(said[0]) == 1
    assert said[0] == said[1]


def test_a_shard_keeps_what_it_learnt_for_itself_until_it_is_merged(project):
    project.write({"test_it.py": TESTS})
    for number in (1, 2):
        project.run("--shard", f"{number}/2")
    parts = sorted(project.history.parent.glob("durations.*-of-2.json"))
    assert [part.name for part in parts] == ["durations.1-of-2.json", "durations.2-of-2.json"]
    assert not project.history.exists()
    project.slipstream("durations", "merge", *map(str, parts))
    assert len(project.recorded()["tests"]["test_it.py"]) == 12


def test_the_order_of_collection_makes_no_difference(project):
    project.write({"test_it.py": TESTS})
    straight = project.run("-v", "--shard", "1/2")
    project.write(
        {
            "conftest.py": """
                def pytest_collection_modifyitems(items):
                    items.reverse()
            """
        }
    )
    reverse = project.run("-v", "--shard", "1/2")
    assert digests(straight) == digests(reverse)
    assert sorted(ran(straight)) == sorted(ran(reverse))


@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["one", "xdist"])
def test_an_empty_shard_passes_and_an_empty_suite_does_not(project, options):
    project.write({"test_it.py": "def test_it(): pass"})
    results = [project.run(*options, "--shard", f"{number}/2") for number in (1, 2)]
    assert [result.ret for result in results] == [0, 0]
    assert sorted(result.parseoutcomes().get("passed", 0) for result in results) == [0, 1]
    if not options:
        assert project.run("--shard", "1/2", "-k", "nothing").ret == 5


def test_the_shard_can_come_from_the_environment(project, monkeypatch):
    monkeypatch.setenv("SLIPSTREAM_SHARD", "auto")
    monkeypatch.setenv("CI_NODE_INDEX", "2")
    monkeypatch.setenv("CI_NODE_TOTAL", "2")
    result = project.run(tests=TESTS)
    result.stdout.fnmatch_lines(
        ["slipstream: shard 2/2: * of 12 tests, *; 12 tests are not in the duration history"]
    )
    assert project.run("--shard", "1/1").parseoutcomes() == {"passed": 12}


@pytest.mark.parametrize("shard", ["0/8", "9/8", "a/b", "auto"])
def test_a_wrong_shard_ends_with_exit_code_4_and_no_traceback(project, shard):
    result = project.run("--shard", shard, tests=TESTS)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: the shard is *{shard}*", "hint: *"])
    assert "Traceback" not in result.stderr.str()


@pytest.mark.usefixtures("shared_cache_dir")
@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one", "xdist"])
@pytest.mark.parametrize("database", ["databases.main.engine = 'sqlite'", ""], ids=["db", "none"])
def test_the_run_record_has_the_digest_and_the_tests(project, database, options):
    project.configure(f"[tool.slipstream]\n{database}")
    result = project.run(
        *options, "--shard", "3/3", tests="def test_it(): pass\ndef test_b(): pass"
    )
    assert result.ret == 0
    for chosen in project.events("ShardChosen"):
        assert [chosen["shard"], chosen["of_tests"]] == ["3/3", 2]
        assert [chosen["digest"]] == digests(result)
        assert chosen["here"] == {}
        assert sorted(chosen["elsewhere"]["test_it.py"]) == ["test_b", "test_it"]
    (finished,) = [one for one in project.events("RunFinished") if one["worker"] == "main"]
    assert finished["exit_status"] == result.ret == 0


@pytest.mark.usefixtures("shared_cache_dir")
def test_only_the_tests_of_the_lane_are_split(project):
    project.configure(
        """
        [tool.slipstream.databases.main]
        engine = "sqlite"

        [tool.slipstream.lanes.real]
        databases.main.memory = true
        """
    )
    project.write(
        {
            "test_it.py": """
                import pytest


                @pytest.mark.parametrize("n", range(8))
                def test_fast(db, n):
                    pass


                @pytest.mark.real
                @pytest.mark.parametrize("n", range(4))
                def test_real(db, n):
                    pass
            """
        }
    )
    results = [project.run("--lane", "real", "--shard", f"{number}/2") for number in (1, 2)]
    assert [result.parseoutcomes().get("passed") for result in results] == [2, 2]


def test_the_command_prints_the_plan_that_runs_follow(project):
    project.write({"test_it.py": TESTS})
    printed = project.slipstream("shards", "3", "--", "-k", "test_shared")
    result = project.run("--shard", "3/3", "-k", "test_shared")
    (digest,) = digests(result)
    assert f"6 tests; digest {digest}" in printed
    assert "6 tests are not in " in printed
    project.run()
    printed = project.slipstream("shards", "1", "--start", "60")
    assert re.search(r"1/1 +│ 12 ", printed)
    assert "shards that still pay: 1, where a machine takes 60 s to start" in printed
    assert "are not in" not in printed
