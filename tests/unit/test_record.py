from __future__ import annotations

from pathlib import Path

from pytest_slipstream import events, record


def test_events_of_all_workers_come_back_in_order(tmp_path: Path) -> None:
    first, second = record.Record(tmp_path, "gw0"), record.Record(tmp_path, "gw1")
    for number in range(3):
        first.write(events.TemplateCollected(database="main", template=f"a{number}"))
        second.write(events.TemplateCollected(database="main", template=f"b{number}"))
    first.close()
    second.close()
    happened = record.read(tmp_path)
    assert [(event.worker, event.template) for event in happened] == [
        (worker, f"{letter}{number}")
        for number in range(3)
        for worker, letter in (("gw0", "a"), ("gw1", "b"))
    ]


def test_line_cut_short_by_a_killed_process_is_left_out(tmp_path: Path) -> None:
    written = record.Record(tmp_path, "main")
    written.write(events.RunFinished(exit_status=0, server_seconds=1.0))
    written.close()
    with (tmp_path / "events-main.jsonl").open("ab") as file:
        file.write(b'{"event":"RunFin')
    assert len(record.read(tmp_path)) == 1


def test_a_text_that_no_file_takes_is_recorded_as_far_as_it_goes(tmp_path: Path) -> None:
    written = record.Record(tmp_path, "main")
    written.write(events.TestRequeued(node_id="test_a.py::test_é", text="a \ud800 b\n"))
    written.close()
    (event,) = record.read(tmp_path)
    assert isinstance(event, events.TestRequeued)
    assert (event.node_id, event.text) == ("test_a.py::test_é", "a ? b\n")


def test_unwritable_record_is_a_problem_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    written = record.Record(tmp_path / "file" / "run", "main")
    written.write(events.RunFinished(exit_status=0, server_seconds=1.0))
    assert written.problem is not None
    assert str(tmp_path) in written.problem
