"""One build in the queue, as one machine sees it.

The invariant: a machine that was silent for longer than its lease finds out at its next step, and
what it says of an atom that another has acknowledged meanwhile is dropped.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_slipstream.clock import clock
from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.queue import scripts
from pytest_slipstream.queue.connection import QueueLostError, opened, out_of_memory
from pytest_slipstream.queue.urls import redacted
from pytest_slipstream.queue.values import (
    Acknowledged,
    Adopted,
    Lease,
    Machine,
    Published,
    Status,
)

_PAUSE_S = 0.2


class DiffersError(Exception):
    """The machine collected other tests than the build's; holds what the build's are."""


class Build:
    """A connection to one build; used by one thread.

    Args:
        url: The queue's.
        build: The build's id.
        machine: What this machine calls itself; the same when its CI job is run again.
        identity: Of this process, the same for all of its connections.
        patience_s: How long a server that does not answer is asked again.

    Raises:
        ConfigurationError: The server cannot be used.
        QueueUnreachableError: Nobody answers.
    """

    def __init__(
        self, url: str, build: str, machine: str, identity: str, patience_s: float = 5.0
    ) -> None:
        prefix = f"slipstream:{{{build}}}"
        self.shown = redacted(url)
        self.build = build
        self.machine = machine
        self._id = identity
        self._patience_s = patience_s
        self._keys = [f"{prefix}:{key}" for key in scripts.KEYS]
        self._client = opened(url, prefix)
        self._scripts: dict[str, Any] = {}

    def close(self) -> None:
        """Close the connection; a later step opens another."""
        self._client.connection_pool.disconnect()

    def exists(self) -> bool:
        """Whether a machine has published it."""
        return bool(self._sent(lambda: self._client.exists(self._keys[0])))

    def publish(self, published: Published) -> bool:
        """Publish the atoms; whether this machine was the first."""
        settings = {
            "digest": published.digest,
            "lease_ms": published.lease_ms,
            "requeues": published.requeues,
            "requeue_cap": published.requeue_cap,
            "tests": sum(map(len, published.atoms)),
        }
        answer = self._run(
            scripts.PUBLISH,
            published.collected,
            scripts.KEPT_MS,
            len(published.atoms),
            *(",".join(map(str, atom)) for atom in published.atoms),
            *(part for pair in settings.items() for part in pair),
        )
        return bool(answer[0] == b"published")

    def join(self, digest: str) -> list[tuple[int, ...]]:
        """Take part.

        Returns:
            What a machine of this name ran before, for this one to run again.

        Raises:
            DiffersError: The build has other tests.
            ConfigurationError: A machine of this name is at work.
        """
        answer = self._stepped(scripts.JOIN, self.machine, digest)
        if answer[0] == b"differs":
            raise DiffersError(answer[1])
        if answer[0] == b"twice":
            raise ConfigurationError(
                f"a machine {self.machine!r} is at work on the build {self.build!r} already, "
                f"or was lost less than {int(answer[1]) / 1000:.0f} s ago",
                hint="each machine of a build needs a name of its own, --machine, and each build "
                "an id of its own, --build",
            )
        return [_positions(text) for text in answer[1:]]

    def lease_s(self) -> float:
        """How long a machine may be silent, as the first one said."""
        found = self._sent(lambda: self._client.hget(self._keys[0], "lease_ms"))
        if found is None:
            raise self._gone()
        return int(found) / 1000

    def take(self) -> Lease | bool:
        """The next atom; else whether all are done."""
        answer = self._stepped(scripts.TAKE)
        if answer[0] == b"atom":
            stream, entry, index, tests, failed_on = (part.decode() for part in answer[1:])
            return Lease(stream, entry, index, _positions(tests), failed_on)
        return bool(answer[0] == b"over")

    def acknowledge(
        self, lease: Lease, reports: bytes, failed: Mapping[int, bytes]
    ) -> Acknowledged:
        """Say that an atom ran.

        Args:
            lease: The atom's.
            reports: Of its tests that did not fail, for the case that this machine is lost.
            failed: Those of each test that did, by position.
        """
        answer = self._stepped(
            scripts.ACKNOWLEDGE,
            lease.stream,
            lease.entry,
            lease.index,
            reports,
            len(lease.tests),
            len(failed),
            *(part for pair in failed.items() for part in pair),
        )
        return Acknowledged(answer[0] == b"first", frozenset(map(int, answer[1:])))

    def beat(self, held: Iterable[Lease]) -> None:
        """Renew the leases of atoms."""
        entries = [part for lease in held for part in (lease.stream, lease.entry)]
        self._stepped(scripts.BEAT, scripts.KEPT_MS, *entries)

    def leave(self) -> Adopted | bool:
        """Once all is done: what a lost machine has left to this one; else whether it may go."""
        answer = self._stepped(scripts.LEAVE)
        if answer[0] == b"adopted":
            return Adopted(answer[1].decode(), tuple(answer[2:]))
        return bool(answer[0] == b"leaving")

    def release(self) -> None:
        """End: what this machine still holds is for others, and what it reported is reported."""
        self._stepped(scripts.RELEASE)

    def status(self) -> Status | None:
        """The build as it stands; None where there is none.

        Raises:
            QueueLostError: Nobody answers any more, or keys of the build are gone.
        """
        answers = self._sent(self._looked_at)
        if not answers[0]:
            return None
        if any(isinstance(answer, Exception) for answer in answers):
            raise self._gone()
        settings, known, count, *pending, (seconds, micros) = answers
        return _status(settings, known, count, pending, seconds * 1000 + micros // 1000)

    def _looked_at(self) -> list[Any]:
        """What the status is told from; an error in the place of each answer that there is not."""
        build, atoms, again, done, _, machines, _, _ = self._keys
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hgetall(build)
        pipeline.hgetall(machines)
        pipeline.hlen(done)
        pipeline.xpending(atoms, "machines")
        pipeline.xpending(again, "machines")
        pipeline.time()
        answers: list[Any] = pipeline.execute(raise_on_error=False)
        return answers

    def _stepped(self, script: str, *arguments: object) -> list[Any]:
        """Run a step of this machine."""
        answer = self._run(script, self._id, *arguments)
        if answer[0] == b"gone":
            raise self._gone()
        if answer[0] == b"lost":
            raise QueueLostError(
                f"the machine {self.machine!r} was silent for longer than its lease, and "
                f"{answer[1].decode()!r} reports what it had run: this run does not count",
                hint="where machines are stopped for long, a longer lease helps: "
                "--slipstream-lease 120",
            )
        return answer

    def _run(self, script: str, *arguments: object) -> list[Any]:
        if script not in self._scripts:
            self._scripts[script] = self._client.register_script(script)
        answer: list[Any] = self._sent(lambda: self._scripts[script](self._keys, arguments))
        return answer

    def _sent(self, send: Any) -> Any:
        """Ask until there is an answer: a server may be restarted, or cut off for a while."""
        from redis import exceptions

        until = clock.seconds() + self._patience_s
        while True:
            try:
                return send()
            except exceptions.RedisError as error:
                passing = isinstance(
                    error,
                    exceptions.ConnectionError | exceptions.TimeoutError | exceptions.ReadOnlyError,
                ) or out_of_memory(error)
                refused = isinstance(error, exceptions.AuthenticationError)
                if refused or not passing or clock.seconds() > until:
                    raise QueueLostError(
                        f"the queue {self.shown} does not answer any more: {error}",
                        hint="what this machine had not reported was not run to its end; run the "
                        "build again",
                    ) from error
            time.sleep(_PAUSE_S)

    def _gone(self) -> QueueLostError:
        return QueueLostError(
            f"the build {self.build!r} is not in the queue {self.shown} any more: the server was "
            "restarted without its data, dropped keys to save memory, or they expired",
            hint="in redis.conf: appendonly yes, and maxmemory-policy noeviction; then run the "
            "build again under another id",
        )


def _positions(text: bytes | str) -> tuple[int, ...]:
    return tuple(map(int, text.split(b"," if isinstance(text, bytes) else ",")))  # type: ignore[arg-type]


def _status(
    settings: Mapping[bytes, bytes],
    known: Mapping[bytes, bytes],
    done: int,
    pending: list[dict[str, Any]],
    now_ms: int,
) -> Status:
    import msgspec

    held: dict[bytes, int] = {}
    for stream in pending:
        for consumer in stream["consumers"]:
            held[consumer["name"]] = held.get(consumer["name"], 0) + consumer["pending"]
    machines = []
    for identity, text in known.items():
        if identity:
            said = msgspec.json.decode(text)
            machines.append(
                Machine(
                    name=said["name"],
                    state=said["state"],
                    silent_s=max(0.0, (now_ms - said["beat"]) / 1000),
                    tests=0 if said["state"] == "lost" else int(said["tests"]),
                    failed=0 if said["state"] == "lost" else int(said["failed"]),
                    held=held.get(identity, 0),
                )
            )
    requeued = int(settings[b"requeued"])
    return Status(
        atoms=int(settings[b"atoms"]) + requeued,
        done=done - 1,
        tests=int(settings[b"tests"]),
        reported=sum(machine.tests for machine in machines),
        failed=sum(machine.failed for machine in machines),
        requeued=requeued,
        flaky=int(settings[b"flaky"]),
        age_s=max(0.0, (now_ms - int(settings[b"began_ms"])) / 1000),
        lease_s=int(settings[b"lease_ms"]) / 1000,
        machines=tuple(sorted(machines, key=lambda machine: machine.name)),
    )
