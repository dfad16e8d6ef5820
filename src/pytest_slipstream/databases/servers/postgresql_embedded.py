"""PostgreSQL as an embedded server: how its data is made, started and recognised.

The server is tuned for data that nobody would miss: nothing is synced, so a crash of the machine
loses it, and only that. `initdb` runs once for a version and a locale; its cluster is copied.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from pytest_slipstream.databases.engines.protocol import Address, Progress
from pytest_slipstream.databases.servers import directories, process
from pytest_slipstream.databases.servers.directories import Origin
from pytest_slipstream.databases.servers.embedded_server import EmbeddedServer
from pytest_slipstream.databases.servers.endpoints import LOOPBACK
from pytest_slipstream.databases.servers.postgresql_binaries import Binaries, find_binaries
from pytest_slipstream.databases.servers.postgresql_copy import reachable
from pytest_slipstream.databases.servers.privileges import Account
from pytest_slipstream.databases.servers.product import State
from pytest_slipstream.errors import ConfigurationError, ServerError, SlipstreamError
from pytest_slipstream.settings import DatabaseSettings

USER = "slipstream"
MAINTENANCE_DATABASE = "postgres"
PORT = 5432
_PID_FILE = "postmaster.pid"
_NO_PROCESS = 2**31 - 1

# Two runs at once and their pools exhaust the defaults of the first two.
OPTIONS: Mapping[str, str] = {
    "max_connections": "200",
    "max_locks_per_transaction": "128",
    "shared_buffers": "128MB",
    # Nothing is worth a sync.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_init_zero": "off",
    "max_wal_size": "256MB",
    "min_wal_size": "32MB",
    "checkpoint_timeout": "1h",
    # Background work would make equal tests differ; slots are vacuumed when they need it.
    "autovacuum": "off",
    "bgwriter_lru_maxpages": "0",
    "jit": "off",
    "update_process_title": "off",
    # A container's /dev/shm has 64 MB: parallel queries must not depend on it.
    "dynamic_shared_memory_type": "mmap",
    # The same on every machine, whatever its environment says.
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    # Errors are the tests' own business and would fill the log.
    "log_min_messages": "log",
    "log_checkpoints": "off",
}
_OPTIONS_SINCE = {18: {"io_method": "sync"}}
RESERVED_OPTIONS = (
    "data_directory",
    "hba_file",
    "listen_addresses",
    "port",
    "unix_socket_directories",
)


class EmbeddedPostgresql:
    """PostgreSQL for `EmbeddedServer`.

    Args:
        settings: The database's table.
        binaries: The programs, or the error that there are none: it is raised at the start, so
            that a run without a database test needs no server.
    """

    engine = "postgresql"
    user = USER
    maintenance_database = MAINTENANCE_DATABASE
    default_port = PORT
    # Fast shutdown, then immediate shutdown: PostgreSQL manual, "Shutting Down the Server".
    stop: tuple[tuple[str, float], ...] = (("SIGINT", 10.0), ("SIGQUIT", 5.0))

    def __init__(self, settings: DatabaseSettings, binaries: Binaries | SlipstreamError) -> None:
        self._settings = settings
        self._found = binaries

    @property
    def _binaries(self) -> Binaries:
        if isinstance(self._found, Exception):
            raise self._found
        return self._found

    @property
    def key(self) -> str:
        """Product, version and a digest of all that a running server was started with."""
        options = sorted(self._settings.server_options.items())
        facts = [self._settings.locale, repr(options), repr(sorted(OPTIONS.items()))]
        facts += [str(self._settings.tcp), str(os.geteuid())]
        version = "none"
        if isinstance(self._found, Binaries):
            version = self._found.number
            facts.append(_same(self._found))
        return f"postgresql-{version}-{directories.digest(*facts)}"

    @property
    def label(self) -> str:
        """``PostgreSQL 18.6``."""
        return f"PostgreSQL {self._binaries.number}"

    @property
    def version(self) -> str:
        """``18.6``."""
        return self._binaries.number

    @property
    def identity(self) -> str:
        """Version, build and locale: a template made with another must not be used."""
        return f"embedded {_same(self._binaries)} {self._settings.locale}"

    def check(self) -> None:
        """See that there are binaries and that no option is slipstream's own."""
        taken = sorted(set(self._settings.server_options) & set(RESERVED_OPTIONS))
        if taken:
            raise ConfigurationError(
                f"`server_options` sets {taken[0]!r}, which slipstream sets itself; reserved are "
                f"{', '.join(RESERVED_OPTIONS)}",
                hint=f"remove {taken[0]!r}; `tcp = true` makes the server listen on {LOOPBACK}",
            )
        _ = self._binaries

    def socket_name(self, port: int) -> str:
        """PostgreSQL names its socket after the port."""
        return f".s.PGSQL.{port}"

    def origin(self, boot: str, store: Path | None = None) -> Origin:
        """The binaries, in this boot."""
        program = self._binaries.postgres
        return Origin(
            label=self.label,
            boot=boot,
            program=str(program),
            program_bytes=program.stat().st_size,
            store=str(store or ""),
        )

    def make_data(
        self, data: Path, *, home: Path, account: Account, password: str, progress: Progress
    ) -> None:
        """Copy the cluster that `initdb` made; the first time, make that."""
        begin = time.perf_counter()

        def initialise(directory: Path) -> None:
            progress(f"making a {self.label} cluster, for the first time on this machine")
            self._initdb(directory / "cluster", home=home, account=account, password=password)
            progress(f"made a {self.label} cluster in {time.perf_counter() - begin:.1f} s")

        name = f"postgresql-{self.version}-" + directories.digest(
            _same(self._binaries), self._settings.locale, password, str(account.uid)
        )
        kept = directories.made_once(
            home / "clusters" / name, self.origin(directories.boot_id()), account, initialise
        )
        # By a program and as the account: it owns the copy, and the kernel copies in bulk.
        said = process.run_tool(["cp", "-Rp", f"{kept / 'cluster'}/.", str(data)], account=account)
        if said:
            raise _tool_error(f"the cluster {kept} cannot be copied", said, data)

    def forget(self, data: Path, socket: Path) -> None:
        """Put an id that no process has into ``postmaster.pid``, and remove the socket's lock.

        The server refuses to start while the id in them belongs to any process: another program's
        by now, or a zombie that nobody reaps in a container. The file itself must stay: through
        the shared memory it names, the server sees children of the dead one that still write.
        """
        socket.with_name(socket.name + ".lock").unlink(missing_ok=True)
        try:
            lines = (data / _PID_FILE).read_text("utf-8", "replace").splitlines(keepends=True)
        except FileNotFoundError:
            return
        lines[:1] = [f"{_NO_PROCESS}\n"]
        (data / _PID_FILE).write_text("".join(lines), "utf-8")

    def command(
        self, data: Path, *, home: Path, account: Account, socket_dir: Path, port: int, tcp: bool
    ) -> list[str]:
        """``postgres`` with all its options, the configured ones last."""
        options = dict(OPTIONS)
        for major, more in _OPTIONS_SINCE.items():
            if self._binaries.version[0] >= major:
                options.update(more)
        options.update(self._settings.server_options)
        options["listen_addresses"] = LOOPBACK if tcp else ""
        options["port"] = str(port)
        options["unix_socket_directories"] = str(socket_dir)
        arguments = [f"{name}={value}" for name, value in options.items()]
        program = str(self._programs(home, account) / "postgres")
        return [program, "-D", str(data), *(part for one in arguments for part in ("-c", one))]

    def state(self, data: Path, pid: int) -> State:
        """What the server writes into ``postmaster.pid``: its id first, its status in line 8."""
        try:
            lines = (data / _PID_FILE).read_text("utf-8", "replace").splitlines()
        except OSError:
            return "starting"
        if len(lines) < 8 or lines[0].strip() != str(pid):
            return "starting"
        status = lines[7].strip()
        return "ready" if status == "ready" else "stopping" if status == "stopping" else "starting"

    def accepts(self, address: Address) -> bool:
        """False while it recovers from the death of one of its processes."""
        import psycopg

        try:
            psycopg.connect(
                host=address.socket_dir, port=address.port, user=USER, dbname=address.database
            ).close()
        except psycopg.OperationalError:
            return False
        return True

    def transient(self, log: str) -> bool:
        """Children of a killed server still end; the next attempt finds them gone."""
        return "is still in use" in log

    def failure(self, log: str) -> Mapping[str, str]:
        """The last FATAL line, and what helps against it."""
        lines = [line.strip() for line in log.splitlines() if line.strip()]
        fatal = [line.partition("FATAL:")[2].strip() for line in lines if "FATAL:" in line]
        cause = fatal[-1] if fatal else (lines[-1] if lines else "")
        failure = {"cause": cause}
        option = next((one for one in self._settings.server_options if f'"{one}"' in cause), None)
        if option:
            failure["hint"] = f"correct or remove {option!r} in `server_options`"
        elif "No space left" in log:
            failure["hint"] = "free some space, or set `cache_dir` in [tool.slipstream]"
        return failure

    def _initdb(self, cluster: Path, *, home: Path, account: Account, password: str) -> None:
        directories.make_given(cluster, account)
        secret = cluster.with_name("password")
        directories.write_whole(secret, password.encode("ascii"))
        account.give(secret)
        command = [
            str(self._programs(home, account) / "initdb"),
            f"--pgdata={cluster}",
            f"--username={USER}",
            f"--pwfile={secret}",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--encoding=UTF8",
            "--no-sync",
            "--no-instructions",
            "--wal-segsize=4",
            *locale_options(self._settings.locale, self._binaries.version[0], sys.platform),
        ]
        if self._binaries.version[0] >= 18:
            command.append("--no-data-checksums")
        said = process.run_tool(command, account=account)
        secret.unlink()
        if said and "invalid locale" in said:
            raise ServerError(
                f"the locale {self._settings.locale!r} is not on this machine",
                hint="set `locale` of the database to one that `locale -a` lists, or install it",
            )
        if said:
            raise _tool_error(f"initdb of {self.label} failed in {cluster.parent}", said, cluster)

    def _programs(self, home: Path, account: Account) -> Path:
        origin = self.origin(directories.boot_id())
        name = f"postgresql-{self.version}-{directories.digest(_same(self._binaries))}"
        return reachable(self._binaries, home / "binaries" / name, origin, account)


def embedded_postgresql(
    settings: DatabaseSettings, *, cache_dir: Path, environ: Mapping[str, str] = os.environ
) -> EmbeddedServer:
    """The embedded server for a configured database; nothing is started.

    Args:
        settings: The database's table.
        cache_dir: Where its files are kept between runs.
        environ: The environment, for the search of binaries.
    """
    binaries: Binaries | SlipstreamError
    try:
        binaries = find_binaries(environ)
    except SlipstreamError as error:
        binaries = error
    product = EmbeddedPostgresql(settings, binaries)
    return EmbeddedServer(product, cache_dir=cache_dir, tcp=settings.tcp)


def locale_options(locale: str, major: int, platform: str) -> list[str]:
    """The arguments of `initdb` for a locale.

    Args:
        locale: As configured.
        major: PostgreSQL's major version.
        platform: `sys.platform`. macOS has no C.UTF-8: the server's own takes its place there.
    """
    if locale == "C.UTF-8" and platform == "darwin" and major >= 17:
        return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return [f"--locale={locale}"]


def _same(binaries: Binaries) -> str:
    """What equal builds share, wherever they are installed: every virtual environment's wheel."""
    return f"{binaries.kind} {binaries.text} {binaries.postgres.stat().st_size}"


def _tool_error(what: str, said: str, path: Path) -> ServerError:
    if "No space left" in said or "quota exceeded" in said.lower():
        return directories.no_space(path)
    lines = [line for line in said.splitlines() if "error" in line.lower()] or said.splitlines()
    return ServerError(f"{what}: {lines[-1].strip()}")
