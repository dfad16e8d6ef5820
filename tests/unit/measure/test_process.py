"""Real commands, run to their end or ended."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from pytest_slipstream.errors import SlipstreamError
from pytest_slipstream.measure import process
from pytest_slipstream.measure.process import Ended, LimitError


def run(program: str, *arguments: str, limit_s: float = 60.0, watch=None) -> Ended:
    return process.run(
        [sys.executable, "-c", program, *arguments],
        directory=Path.cwd(),
        environ=os.environ,
        limit_s=limit_s,
        watch=watch or (lambda pid, elapsed_s: None),
    )


def gone(pid: int) -> bool:
    """Whether a process ends, however slow the machine is."""
    with suppress(psutil.NoSuchProcess):
        with suppress(psutil.TimeoutExpired):
            psutil.Process(pid).wait(30)
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


def test_what_a_command_took_and_said():
    burn = "import time, sys\nwhile time.process_time() < 0.3: pass\nprint('done'); sys.exit(3)"
    ended = run(burn)
    assert ended.exit_status == 3
    assert ended.tail == "done\n"
    assert ended.wall_s >= 0.3
    assert ended.user_s + ended.system_s >= 0.3


def test_the_seconds_of_its_children_are_its_own():
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    parent = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    ended = run(parent, burn)
    assert ended.user_s + ended.system_s >= 0.3


def test_megabytes_of_output_are_read_and_only_the_end_is_kept():
    line = "x" * 99
    ended = run(f"for n in range(300_000): print('{line}')\nprint('the end')")
    assert ended.exit_status == 0
    assert len(ended.tail) == process.TAIL_BYTES
    assert ended.tail.endswith(f"{line}\nthe end\n")


def test_output_that_is_no_text():
    assert run("import sys; sys.stdout.buffer.write(bytes(range(256)))").tail.startswith("\0\1\2")


def test_it_is_watched_while_it_runs(tmp_path):
    seen: list[tuple[int, float]] = []
    go_on = tmp_path / "go on"

    def watch(pid: int, elapsed_s: float) -> None:
        seen.append((pid, elapsed_s))
        if len(seen) == 3:
            go_on.touch()

    wait = "import os, pathlib, sys, time\nprint(os.getpid())\n"
    wait += "while not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)"
    ended = run(wait, str(go_on), watch=watch)
    assert {pid for pid, _ in seen} == {int(ended.tail)}
    assert [elapsed_s for _, elapsed_s in seen] == sorted(elapsed_s for _, elapsed_s in seen)


HANGING = """
import signal, subprocess, sys, time
if sys.argv[1] == "deaf":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("hanging", flush=True)
open(sys.argv[2], "w").write(f"{child.pid}\\n")
time.sleep(600)
"""


def noted(note: Path) -> bool:
    """Whether the child is there."""
    return note.exists() and note.read_text().endswith("\n")


def until(note: Path) -> Callable[[int, float], None]:
    """Lets no time count before the child is there, however slow the machine is."""

    def watch(pid: int, elapsed_s: float) -> None:
        while not noted(note):
            assert psutil.pid_exists(pid)
            time.sleep(0.01)

    return watch


def test_one_that_hangs_is_ended_with_its_children(tmp_path):
    note = tmp_path / "pid"
    with pytest.raises(LimitError, match=r"had not ended after 0.2 s, and was ended") as caught:
        run(HANGING, "polite", str(note), limit_s=0.2, watch=until(note))
    assert "hanging" in str(caught.value)
    assert caught.value.hint is not None
    assert "--limit" in caught.value.hint
    assert gone(int(note.read_text()))


def test_one_that_ignores_ctrl_c_is_ended_too(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "_PATIENCE_S", 0.5)
    note = tmp_path / "pid"
    with pytest.raises(LimitError):
        run(HANGING, "deaf", str(note), limit_s=0.2, watch=until(note))
    assert gone(int(note.read_text()))


def test_ctrl_c_ends_it(tmp_path):
    note = tmp_path / "pid"

    def watch(pid: int, elapsed_s: float) -> None:
        if noted(note):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(HANGING, "polite", str(note), watch=watch)
    assert gone(int(note.read_text()))


def test_sigterm_ends_it_too(tmp_path):
    note = tmp_path / "pid"

    def watch(pid: int, elapsed_s: float) -> None:
        if noted(note):
            signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit), process.ended_like_by_ctrl_c():
        run(HANGING, "polite", str(note), watch=watch)
    assert gone(int(note.read_text()))
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_it_leaves_in_the_background_is_not_waited_for(tmp_path):
    note = tmp_path / "pid"
    chatter = "while True: print('still here', flush=True)"
    leave = (
        "import subprocess, sys; left = subprocess.Popen([sys.executable, '-c', sys.argv[1]]);"
        "open(sys.argv[2], 'w').write(str(left.pid))"
    )
    done = threading.Event()

    def leaving() -> None:
        run(leave, chatter, str(note))
        done.set()

    threading.Thread(target=leaving, daemon=True).start()
    assert done.wait(60)
    assert gone(int(note.read_text()))  # its output has nobody any more who reads it


def test_a_command_that_is_not_there():
    with pytest.raises(SlipstreamError, match="/no/such cannot be run: No such file or directory"):
        process.run(
            ["/no/such"],
            directory=Path.cwd(),
            environ={},
            limit_s=1,
            watch=lambda pid, elapsed_s: None,
        )


def test_a_command_ended_by_a_signal():
    ended = run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert ended.exit_status == -signal.SIGKILL


def test_last_lines():
    assert process.last_lines(" \n") == "; it printed nothing"
    assert process.last_lines("a\nb\nc\n", count=2) == "; its last lines were:\nb\nc"
