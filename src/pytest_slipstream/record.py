"""The run record: an append-only JSONL file of events, one event a line.

Each process of a run writes a file of its own, so that no line is ever torn or waited for; the
process that reports joins them by time. A record that cannot be written costs the record, never a
test result.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import IO

import msgspec

from pytest_slipstream.clock import clock
from pytest_slipstream.events import AnyEvent, Event

_encoder = msgspec.json.Encoder()


class Record:
    """Writes the events of this process.

    Args:
        directory: The run's directory; made when the first event is written.
        worker: The worker id: the file's name, and stamped on each event.
    """

    def __init__(self, directory: Path, worker: str) -> None:
        self.directory = directory
        self.worker = worker
        self.listeners: list[Callable[[Event], None]] = []
        self.problem: str | None = None
        self._file: IO[bytes] | None = None
        self._sizes: dict[Path, int] = {}
        self._read: list[AnyEvent] = []

    def write(self, event: Event) -> None:
        """Tell the listeners, and append; after the first failure, no more is appended."""
        for listener in self.listeners:
            listener(event)
        if self.problem is not None:
            return
        stamped = msgspec.structs.replace(event, worker=self.worker, at=clock.unix())
        try:
            if self._file is None:
                self.directory.mkdir(parents=True, exist_ok=True)
                path = self.directory / f"events-{self.worker}.jsonl"
                self._file = path.open("ab", buffering=0)
            self._file.write(_encoded(stamped) + b"\n")
        except OSError as error:
            self.problem = f"run record not written to {self.directory}: {error}"

    def read(self) -> list[AnyEvent]:
        """All events of the run so far; the files are read again only if they have grown."""
        sizes = {file: file.stat().st_size for file in _files(self.directory)}
        if sizes != self._sizes:
            self._sizes, self._read = sizes, read(self.directory)
        return self._read

    def continue_as(self, worker: str) -> None:
        """In a forked process: write a file of its own."""
        self.close()
        self.worker = worker

    def close(self) -> None:
        """Close the file; the record can be read."""
        self._sizes, self._read = {}, []
        if self._file is not None:
            self._file.close()
            self._file = None


def _encoded(event: Event) -> bytes:
    """One line; a lone surrogate, which messages may have and no JSON takes, becomes `?`."""
    try:
        return _encoder.encode(event)
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(event), ensure_ascii=False)
        return text.encode(errors="replace")


def read(directory: Path) -> list[AnyEvent]:
    """All events of a run, of all its processes, in order of time.

    A last line cut short by a killed process is left out.
    """
    decoder = msgspec.json.Decoder(AnyEvent)
    events = [decoder.decode(line) for file in _files(directory) for line in _lines(file)]
    return sorted(events, key=lambda event: event.at)


def _files(directory: Path) -> list[Path]:
    return sorted(directory.glob("events-*.jsonl"))


def _lines(file: Path) -> list[bytes]:
    return file.read_bytes().split(b"\n")[:-1]
