"""What a run makes of bad luck: a clear error or full recovery, and nothing of others dropped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from projects import Project

PASSING = """
    import pytest
    from app import db

    @pytest.mark.parametrize("n", range(4))
    def test_commits(n):
        assert db.names() == []
        db.add("ada")
"""

WAITING = """
    import os
    import pathlib
    import time
    from app import db

    def test_waits():
        db.add("ada")
        pathlib.Path("reached").write_text(os.environ["DATABASE_URL"])
        while not pathlib.Path("go").exists():
            time.sleep(0.02)
        assert db.names() == ["ada"]

    def test_after():
        assert db.names() == []
"""


def _start(project: Project, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *args],
        cwd=project.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _wait(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.02)


def _waiting(project: Project, *args: str) -> subprocess.Popen[str]:
    project.write({"test_it.py": WAITING})
    process = _start(project, *args)
    _wait((project.path / "reached").exists, process)
    return process


def test_schema_that_does_not_import(project: Project) -> None:
    (project.path / "app" / "models.py").write_text("import no_such_module\n")
    result = project.run(tests="def test_it():\n    pass\n\ndef test_other():\n    pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*app.models:Base.metadata*no_such_module*"])


def test_seed_that_raises(project: Project) -> None:
    (project.path / "app" / "seed.py").write_text("def fill(url):\n    raise ValueError('no')\n")
    result = project.run(tests="def test_it():\n    pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*app.seed:fill*ValueError*no*"])


def test_script_that_fails_names_file_line_and_statement(project: Project) -> None:
    (project.path / "schema.sql").write_text("create table a (b int);\n\ncreate tabel c (d int);\n")
    result = project.run("--slipstream-seed=schema.sql", tests="def test_it():\n    pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*schema.sql:3: *", "*create tabel c*"])


def test_remote_server_is_refused(postgresql_project: Project) -> None:
    result = postgresql_project.run(
        "--slipstream-server=postgresql://me:secret@db.example.com/postgres",
        tests="def test_it():\n    pass\n",
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*db.example.com*", "hint: *allow_remote*"])
    assert "secret" not in str(result.stderr) + str(result.stdout)


def test_worker_killed_leaves_nothing_behind_for_the_next_run(project: Project) -> None:
    process = _waiting(project)
    process.kill()
    process.wait()
    process.communicate()
    (slot,) = [event["slot"] for event in project.events("SlotReady")]
    result = project.run(tests=PASSING)
    result.assert_outcomes(passed=4)
    assert slot not in project.slipstream("db", "list")


def test_two_runs_at_once_do_not_meet(project: Project) -> None:
    first = _waiting(project)
    result = project.run("-n2", tests=PASSING)
    result.assert_outcomes(passed=4)
    # The second run's sweep and its end have left the first one's slot and server alone.
    (project.path / "go").touch()
    output, _ = first.communicate(timeout=60)
    assert first.returncode == 0, output


def test_two_runs_with_different_schemas_at_once(project: Project) -> None:
    first = _waiting(project)
    models = project.path / "app" / "models.py"
    models.write_text(models.read_text().replace("String(20)", "String(30)"))
    project.run(tests=PASSING).assert_outcomes(passed=4)
    (project.path / "go").touch()
    output, _ = first.communicate(timeout=60)
    assert first.returncode == 0, output


def test_run_killed_while_it_builds_the_template(project: Project) -> None:
    seed = project.path / "app" / "seed.py"
    good = seed.read_text()
    seed.write_text(
        good.replace(
            "engine.dispose()",
            "import pathlib, time; pathlib.Path('reached').touch()\n"
            "    while not pathlib.Path('go').exists(): time.sleep(0.02)",
        )
    )
    project.write({"test_it.py": PASSING})
    process = _start(project)
    _wait((project.path / "reached").exists, process)
    process.kill()
    process.communicate()
    (project.path / "go").touch()
    project.run(tests=PASSING).assert_outcomes(passed=4)
    assert [event["built"] for event in project.events("TemplateReady")] == [True]


@pytest.mark.parametrize("interrupts", [1, 2])
def test_ctrl_c_ends_the_run_and_the_next_one_is_well(project: Project, interrupts: int) -> None:
    process = _waiting(project)
    for _ in range(interrupts):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.05)  # two keystrokes of a person, not a wait for anything
    output, _ = process.communicate(timeout=30)
    assert process.returncode in (2, -signal.SIGINT, 130), output
    if interrupts == 1:
        assert "KeyboardInterrupt" in output
    project.run(tests=PASSING).assert_outcomes(passed=4)


def test_server_killed_in_mid_run(
    postgresql_project: Project, short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPSTREAM_CACHE_DIR", str(short_path))
    process = _waiting(postgresql_project, "-v")
    url = (postgresql_project.path / "reached").read_text().replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        os.kill(backend.ppid(), signal.SIGKILL)
    (postgresql_project.path / "go").touch()
    output, _ = process.communicate(timeout=90)
    # The test that was running has lost its data; the one after it runs on a new slot.
    assert "test_waits FAILED" in output, output
    assert "test_after PASSED" in output, output


def test_read_only_record_directory_costs_the_record_and_no_result(
    sqlite_project: Project,
) -> None:
    (sqlite_project.path / ".slipstream").write_text("in the way")
    result = sqlite_project.run(tests=PASSING)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["*run record not written*"])


def test_clock_set_back_between_runs(project: Project) -> None:
    project.run(tests=PASSING).assert_outcomes(passed=4)
    for path in project.path.rglob("*.py"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    project.write(
        {
            "conftest.py": """
                import time
                real = time.time
                time.time = lambda: real() - 10**8
            """
        }
    )
    project.run(tests=PASSING).assert_outcomes(passed=4)


def test_frozen_time_in_a_test(project: Project) -> None:
    result = project.run(
        tests="""
            import time
            from app import db

            def test_frozen(monkeypatch):
                monkeypatch.setattr(time, "time", lambda: 0.0)
                monkeypatch.setattr(time, "perf_counter", lambda: 0.0)
                monkeypatch.setattr(time, "monotonic", lambda: 0.0)
                db.add("ada")

            def test_after():
                assert db.names() == []
        """
    )
    result.assert_outcomes(passed=2)
    assert all(0 <= event["seconds"] < 5 for event in project.events("TestCleaned"))


def test_cache_directory_that_is_a_file(sqlite_project: Project) -> None:
    result = sqlite_project.run("--slipstream-cache-dir=pyproject.toml", tests=PASSING)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*pyproject.toml cannot be used: it is not a directory*", "hint: *"]
    )


def test_driver_that_does_not_exist(sqlite_project: Project) -> None:
    path = sqlite_project.path / "pyproject.toml"
    path.write_text(path.read_text().replace('seed = "app.seed:fill"', 'driver = "aiosqlte"'))
    result = sqlite_project.run(tests="def test_it(db_engine):\n    pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*cannot load a driver for driver = 'aiosqlte'*"])


def test_a_schema_of_no_valid_form_ends_the_run_before_it_begins(project: Project) -> None:
    configuration = (project.path / "pyproject.toml").read_text()
    text = configuration.replace("app.models:Base.metadata", "app.models")
    (project.path / "pyproject.toml").write_text(text)
    result = project.run(tests=PASSING)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: schema 'app.models' is not a source: *", "hint: write *"])


def test_libpq_is_not_led_elsewhere_by_the_environment(
    postgresql_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")  # RFC 5737: nobody's
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "standby")
    postgresql_project.run(tests=PASSING).assert_outcomes(passed=4)
