"""PostgreSQL as an embedded server: how its data is made, started and recognised.

The server is tuned for data that nobody would miss: nothing is synced, so a crash of the machine
loses it, and only that. `initdb` runs once for a version and a locale; its cluster is copied.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.servers import directories, process
from pytest_slipstream.databases.servers.clusters import tool_error
from pytest_slipstream.databases.servers.endpoints import LOOPBACK
from pytest_slipstream.databases.servers.postgresql_binaries import Binaries, find_binaries
from pytest_slipstream.databases.servers.postgresql_copy import reachable
from pytest_slipstream.databases.servers.postgresql_driver import psycopg_module
from pytest_slipstream.databases.servers.privileges import Account
from pytest_slipstream.databases.servers.product import Product, State
from pytest_slipstream.errors import ServerError

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


class EmbeddedPostgresql(Product[Binaries]):
    """PostgreSQL for `EmbeddedServer`."""

    engine = "postgresql"
    maintenance_database = "postgres"
    default_port = 5432
    reserved_options = (
        "data_directory",
        "hba_file",
        "listen_addresses",
        "port",
        "unix_socket_directories",
    )
    # Fast shutdown, then immediate shutdown: PostgreSQL manual, "Shutting Down the Server".
    stop = (("SIGINT", 10.0), ("SIGQUIT", 5.0))

    def _find(self, environ: Mapping[str, str]) -> Binaries:
        return find_binaries(environ)

    def _facts(self) -> list[str]:
        return [self._settings.locale, repr(sorted(OPTIONS.items()))]

    @property
    def identity(self) -> str:
        """Version, build and locale: a template made with another must not be used."""
        return f"embedded {self.build.identity} {self._settings.locale}"

    @property
    def client_library(self) -> Path | None:
        """libpq, where the programs' directory has one beside it."""
        return self.build.libpq

    @classmethod
    def socket_name(cls, port: int) -> str:
        """PostgreSQL names its socket after the port."""
        return f".s.PGSQL.{port}"

    @property
    def cluster(self) -> str:
        """``a PostgreSQL 18.6 cluster``."""
        return f"a {self.label} cluster"

    def cluster_facts(self, password: str) -> list[str]:
        """The build, and what `initdb` is told."""
        return [self.build.identity, self._settings.locale, password]

    def make_cluster(self, cluster: Path, *, home: Path, account: Account, password: str) -> None:
        """Run `initdb`."""
        secret = cluster.with_name("password")
        directories.write_whole(secret, password.encode("ascii"))
        account.give(secret)
        command = [
            str(self._programs(home, account) / "initdb"),
            f"--pgdata={cluster}",
            f"--username={self.user}",
            f"--pwfile={secret}",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--encoding=UTF8",
            "--no-sync",
            "--no-instructions",
            "--wal-segsize=4",
            *locale_options(self._settings.locale, self.build.version[0], sys.platform),
        ]
        if self.build.version[0] >= 18:
            command.append("--no-data-checksums")
        said = process.run_tool(command, account=account)
        secret.unlink()
        if said and "invalid locale" in said:
            raise ServerError(
                f"the locale {self._settings.locale!r} is not on this machine",
                hint="set `locale` of the database to one that `locale -a` lists, or install it",
            )
        if said:
            what = f"initdb of {self.label} failed in {cluster.parent}"
            raise tool_error(what, said.splitlines()[::-1], cluster)

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
            if self.build.version[0] >= major:
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
        psycopg = psycopg_module()
        try:
            psycopg.connect(
                host=address.socket_dir,
                hostaddr="",
                port=address.port,
                user=self.user,
                dbname=address.database,
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

    def _programs(self, home: Path, account: Account) -> Path:
        name = f"postgresql-{self.version}-{directories.digest(self.build.identity)}"
        return reachable(self.build, home / "binaries" / name, self.origin(), account)


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
