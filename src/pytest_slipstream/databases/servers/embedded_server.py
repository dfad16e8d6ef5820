"""A server that slipstream starts, shares with every worker and run of this user, and stops.

Whoever comes first starts it, whoever leaves last stops it, both under one lock; in between it
belongs to nobody. Data is kept for the next run. The invariant: data is used only if it was
finished, in this boot, by the same binaries; everything else is thrown away and made anew.

On disk::

    <home>/<key>.lock      held while the server is started or stopped
    <home>/<key>/          origin.json (names the store), users/, socket/, port, log
    <home>/password        for TCP
    <store>/               data/, running.json, server; on the RAM disk where there is room
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, Literal

from pytest_slipstream.databases.engines.protocol import Address, Progress, ServerInfo
from pytest_slipstream.databases.servers import (
    clusters,
    directories,
    embedded,
    endpoints,
    process,
    stores,
)
from pytest_slipstream.databases.servers.privileges import server_account
from pytest_slipstream.databases.servers.process import Running
from pytest_slipstream.databases.servers.product import Product
from pytest_slipstream.databases.servers.sharing import Sharing
from pytest_slipstream.errors import ServerError

_START_PATIENCE_S = 60.0
_TRANSIENT_PATIENCE_S = 10.0
_POLL_S = 0.005


class EmbeddedServer:
    """One process's hold on an embedded server.

    Args:
        product: What runs.
        cache_dir: Where its files are kept between runs.
        tcp: Listen on 127.0.0.1 too, with a password.
        ram_disk: Where data is kept if there is room: CREATE DATABASE by copying files is 2 to 12
            times faster there than on a disk.
        run: The testrun uid of the one run that uses it. Its data is new, and goes with the last
            user.
    """

    kind: Literal["embedded"] = "embedded"

    def __init__(
        self,
        product: Product[Any],
        *,
        cache_dir: Path,
        tcp: bool = False,
        ram_disk: Path = stores.RAM_DISK,
        run: str = "",
    ) -> None:
        self._product = product
        self._tcp = tcp
        self._ram_disk = ram_disk
        self._account = server_account()
        self._cache_dir = cache_dir
        self._home = directories.servers_home(cache_dir, self._account)
        self._is_for_run = bool(run)
        self.directory = self._home / (product.key + (directories.OF_RUN + run[:12]) * bool(run))
        self._sharing = Sharing(self.directory)
        self._port = product.default_port
        self._password = ""
        self._addressed = False

    @property
    def maintenance_database(self) -> str:
        """The database for administrative connections."""
        return self._product.maintenance_database

    @property
    def label(self) -> str:
        """Product and version for people."""
        return self._product.label

    @property
    def client_library(self) -> Path | None:
        """The library in C with which programs speak to it, if it lies beside the server's own."""
        return self._product.client_library

    def address(self, database: str) -> Address:
        """Where ``database`` will be; with ``tcp``, the port is claimed by the first call."""
        self._fix_endpoint()
        socket_dir = str(self._socket_dir)
        return Address(
            engine=self._product.engine,
            database=database,
            host=endpoints.LOOPBACK if self._tcp else socket_dir,
            port=self._port,
            user=self._product.user,
            password=self._password,
            socket_dir=socket_dir,
            socket=str(self._socket_dir / self._product.socket_name(self._port)),
        )

    def open(self, progress: Progress) -> ServerInfo:
        """Have the server run, starting it if nobody has, and hold it until `close`.

        Raises:
            ServerError: It cannot be started.
        """
        begin = time.perf_counter()
        self._product.check()
        self._fix_endpoint()
        self._make_directories()
        with self._sharing.alone(progress):
            started = self._ensure_running(progress)
            self._sharing.join()
        return ServerInfo(
            version=self._product.version,
            started=started,
            seconds=time.perf_counter() - begin,
            identity=self._product.identity,
        )

    def hold(self) -> None:
        """Be a user of a server that may not have been started, until `close`."""
        directories.make_home(self._home, self._cache_dir, self._account)
        with self._sharing.alone(lambda message: None):
            directories.make_directory(self.directory, self._account)
            self._sharing.join()

    def restart(self, progress: Progress) -> ServerInfo:
        """Have a server that died run again, on the same data; another user may have done so.

        Raises:
            ServerError: It does not start again.
        """
        info = self.open(progress)
        address = self.address(self.maintenance_database)
        deadline = time.monotonic() + _START_PATIENCE_S
        while not self._product.accepts(address):
            if time.monotonic() > deadline:
                raise ServerError(
                    f"{self._product.label} in {self.directory} runs and has accepted no "
                    f"connection for {_START_PATIENCE_S:.0f} s",
                    hint="look at the file `log` there, or run `slipstream db stop --force`",
                )
            time.sleep(_POLL_S)
            info = self.open(progress)  # what answered may have been the end of the one that died
        return info

    def close(self, *, keep_running: bool = False) -> None:
        """Let go; the last user stops the server, unless it is to be kept running."""
        if not self._sharing.joined:
            return
        with self._sharing.alone(lambda message: None):
            self._sharing.leave()
            origin = directories.read_origin(self.directory)
            if keep_running or self._sharing.users():
                return
            if self._is_for_run:
                embedded.discard(self.directory)
            elif origin is not None:
                stores.stop_in(Path(origin.store))

    # What is known before the start.

    @property
    def _socket_dir(self) -> Path:
        return endpoints.socket_directory(
            self.directory, self._product.socket_name(self._product.default_port)
        )

    @property
    def _socket(self) -> Path:
        port = endpoints.read_port(self.directory / "port") if self._tcp else self._port
        return self._socket_dir / self._product.socket_name(port)

    def _fix_endpoint(self) -> None:
        """Choose port and password, once, together with the other processes of this user."""
        if not self._tcp or self._addressed:
            return
        self._make_directories()
        with self._sharing.alone(lambda message: None):
            self._password = endpoints.kept_password(self._home / "password")
            self._port = endpoints.kept_port(self.directory / "port", in_use=self._is_up())
        self._addressed = True

    def _make_directories(self) -> None:
        directories.make_home(self._home, self._cache_dir, self._account)
        directories.make_directory(self.directory, self._account)

    # Starting, under the lock.

    def _ensure_running(self, progress: Progress) -> bool:
        """Returns whether it had to be started."""
        if self._is_up():
            return False
        if self._tcp and not endpoints.is_free(self._port):
            raise ServerError(
                f"port {self._port} of {endpoints.LOOPBACK}, chosen for {self._product.label} "
                "when this run began, has been taken by another program since",
                hint="run again: another port is chosen",
            )
        endpoints.make_socket_directory(self._socket_dir, self.directory, self._account)
        store = self._kept_store(progress)
        if store is not None:
            try:
                self._launch(store, progress)
                return True
            except ServerError as problem:
                progress(f"making the data anew: {problem.message}")
                stores.discard(store)
        self._launch(self._new_store(progress), progress)
        return True

    def _is_up(self) -> bool:
        """Whether a server answers and is, or soon will be, ready."""
        origin = directories.read_origin(self.directory)
        if origin is None or not endpoints.answers(self._socket):
            return False
        running = stores.read_running(Path(origin.store))
        data = Path(origin.store, "data")
        if running is None or self._product.state(data, running.pid) == "ready":
            return True
        if process.find(running) is None:
            # A process that cannot be seen from here answers: a container that shares the cache.
            return True
        return self._becomes_ready(running, data)

    def _kept_store(self, progress: Progress) -> Path | None:
        """The data of an earlier run, if it can be used; what cannot be used is removed."""
        origin = directories.read_origin(self.directory)
        known = Path(origin.store) if origin is not None else None
        for leftover in self.directory.glob("store-*"):
            if leftover != known:
                stores.discard(leftover)
        if origin is None or known is None:
            return None
        stores.stop_in(known)
        why = origin.stale()
        if why is None and not (known / "data").is_dir():
            why = "it is gone"
        if (
            why is None
            and known.parent == self._ram_disk
            and stores.ram_disk_is_full(self._ram_disk)
        ):
            why = f"{self._ram_disk} is full"
        if why is None:
            return known
        progress(f"throwing away the data of {self._product.label}: {why}")
        (self.directory / directories.ORIGIN).unlink()
        stores.discard(known)
        return None

    def _new_store(self, progress: Progress) -> Path:
        """Make data; it is named in the server's directory, and so valid, when it is whole."""
        password = endpoints.kept_password(self._home / "password")
        embedded.prune(self._cache_dir, ram_disk=self._ram_disk)
        for place, prefix in stores.places(self.directory, self._ram_disk):
            store = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
            try:
                stores.write_owner(store, self.directory)
                directories.let_enter(store, self._account)
                directories.make_given(store / "data", self._account)
                clusters.make_data(
                    self._product,
                    store / "data",
                    home=self._home,
                    account=self._account,
                    password=password,
                    progress=progress,
                )
            except BaseException as problem:
                directories.remove(store)
                if isinstance(problem, ServerError) and place == self._ram_disk:
                    progress(f"using the disk, not {place}: {problem.message}")
                    continue
                raise
            directories.write_origin(self.directory, self._product.origin(store))
            return store
        raise AssertionError("the last place returns or raises")

    def _launch(self, store: Path, progress: Progress) -> None:
        progress(f"starting {self._product.label}")
        if self._tcp:
            endpoints.write_port(self.directory / "port", self._port)
        log = self.directory / "log"
        data = store / "data"
        command = self._product.command(
            data,
            home=self._home,
            account=self._account,
            socket_dir=self._socket_dir,
            port=self._port,
            tcp=self._tcp,
        )
        deadline = time.monotonic() + _TRANSIENT_PATIENCE_S
        while True:
            self._product.forget(data, self._socket)
            pid = process.launch(command, account=self._account, log=log)
            running = Running(pid=pid, mark=str(data), stop=self._product.stop)
            stores.write_running(store, running)
            if self._becomes_ready(running, data) and (
                not self._product.says_ready_early or self._serves(running)
            ):
                return
            process.stop(running)
            said = log.read_text("utf-8", "replace")
            if not (self._product.transient(said) and time.monotonic() < deadline):
                raise self._not_started(said, log)

    def _becomes_ready(self, running: Running, data: Path) -> bool:
        """Wait until the server is ready; False when it ends or stops instead, or hangs."""
        deadline = time.monotonic() + _START_PATIENCE_S
        while time.monotonic() < deadline:
            state = self._product.state(data, running.pid)
            if process.find(running) is None or state == "stopping":
                return False
            if state == "ready":
                return True
            time.sleep(_POLL_S)
        return False

    def _serves(self, running: Running) -> bool:
        """Wait until a connection is accepted; False when the server ends instead, or hangs."""
        address = self.address(self._product.maintenance_database)
        deadline = time.monotonic() + _START_PATIENCE_S
        while time.monotonic() < deadline and process.find(running) is not None:
            if self._product.accepts(address):
                return True
            time.sleep(_POLL_S)
        return False

    def _not_started(self, said: str, log: Path) -> ServerError:
        failure = self._product.failure(said)
        cause = failure.get("cause") or f"it was not ready after {_START_PATIENCE_S:.0f} s"
        return ServerError(
            f"{self._product.label} in {self.directory} did not start: {cause}",
            hint=failure.get("hint", f"the server's own words are in {log}"),
        )
