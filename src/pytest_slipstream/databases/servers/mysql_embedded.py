"""MariaDB or MySQL as an embedded server: how its data is made, started and recognised.

The server is tuned for data that nobody would miss: nothing is synced. The system tables are made
once for a build, and copied.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_slipstream.databases.engines.protocol import Address, Progress
from pytest_slipstream.databases.servers import directories, process
from pytest_slipstream.databases.servers.directories import Origin
from pytest_slipstream.databases.servers.embedded_server import EmbeddedServer
from pytest_slipstream.databases.servers.endpoints import LOOPBACK
from pytest_slipstream.databases.servers.mysql_binaries import Binaries, find_binaries
from pytest_slipstream.databases.servers.privileges import Account
from pytest_slipstream.databases.servers.product import State
from pytest_slipstream.errors import ConfigurationError, ServerError, SlipstreamError
from pytest_slipstream.settings import DatabaseSettings

USER = "slipstream"
MAINTENANCE_DATABASE = "information_schema"
PORT = 3306
SOCKET = "mysqld.sock"
_PID_FILE = "server.pid"

# Names as in the manuals; a configured option replaces one of these, written with - or with _.
OPTIONS: Mapping[str, str] = {
    "character-set-server": "utf8mb4",
    "default-time-zone": "+00:00",
    "max-connections": "200",
    "max-allowed-packet": "64M",
    "skip-name-resolve": "ON",
    # A table that leaves the cache is read again, and its counters start anew.
    "table-definition-cache": "8000",
    "table-open-cache": "8000",
    # Nothing is worth a sync. What was committed still survives the death of the server alone.
    "innodb-flush-log-at-trx-commit": "2",
    "innodb-doublewrite": "0",
    "innodb-use-native-aio": "0",
    "innodb-autoextend-increment": "1",
    # Background work would make equal tests differ.
    "innodb-stats-persistent": "0",
    "innodb-stats-auto-recalc": "0",
    "innodb-buffer-pool-dump-at-shutdown": "0",
    "innodb-buffer-pool-load-at-startup": "0",
}
_OPTIONS_OF: Mapping[str, Mapping[str, str]] = {
    "mariadb": {
        "userstat": "ON",
        "innodb-flush-method": "nosync",
        "innodb-log-file-size": "64M",
        "sync-frm": "0",
        "skip-log-bin": "",
        "feedback": "OFF",
    },
    "mysql": {
        "performance-schema": "ON",
        "innodb-flush-method": "nosync",
        "innodb-redo-log-capacity": "64M",
        "information-schema-stats-expiry": "0",
        "disable-log-bin": "",
        "mysqlx": "OFF",
    },
}
RESERVED_OPTIONS = ("bind-address", "datadir", "pid-file", "port", "skip-networking", "socket")
_SYSTEM_TABLES = ("system_tables", "performance_tables", "system_tables_data")


class EmbeddedMysql:
    """MariaDB or MySQL for `EmbeddedServer`.

    Args:
        settings: The database's table.
        binaries: The program, or the error that there is none: it is raised at the start, so that
            a run without a database test needs no server.
    """

    engine = "mysql"
    user = USER
    maintenance_database = MAINTENANCE_DATABASE
    default_port = PORT
    stop: tuple[tuple[str, float], ...] = (("SIGTERM", 10.0),)

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
        facts = [repr(sorted(self._settings.server_options.items())), repr(_OPTIONS_OF)]
        facts += [repr(sorted(OPTIONS.items())), str(self._settings.tcp), str(os.geteuid())]
        version = "none"
        if isinstance(self._found, Binaries):
            version = self._found.number
            facts.append(self._found.text)
        return f"mysql-{version}-{directories.digest(*facts)}"

    @property
    def label(self) -> str:
        """``MariaDB 10.11.8``."""
        return f"{self._binaries.title} {self._binaries.number}"

    @property
    def version(self) -> str:
        """``10.11.8``."""
        return self._binaries.number

    @property
    def identity(self) -> str:
        """The build, and the options, which decide character set and SQL mode."""
        options = sorted(self._settings.server_options.items())
        return f"embedded {self._binaries.text} {options}"

    def check(self) -> None:
        """See that there is a program and that no option is slipstream's own."""
        names = {name.replace("_", "-"): name for name in self._settings.server_options}
        taken = sorted(names.keys() & set(RESERVED_OPTIONS))
        if taken:
            raise ConfigurationError(
                f"`server_options` sets {names[taken[0]]!r}, which slipstream sets itself; "
                f"reserved are {', '.join(RESERVED_OPTIONS)}",
                hint=f"remove {names[taken[0]]!r}; `tcp = true` makes the server listen on "
                f"{LOOPBACK}",
            )
        _ = self._binaries

    def socket_name(self, port: int) -> str:
        """The same for every port."""
        return SOCKET

    def origin(self, boot: str, store: Path | None = None) -> Origin:
        """The program, in this boot."""
        program = Path(self._binaries.program)
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
        """Copy the system tables; the first time, make them."""
        begin = time.perf_counter()

        def initialise(directory: Path) -> None:
            progress(f"making the system tables of {self.label}, for the first time here")
            for name in ("cluster", "tmp"):
                directories.make_given(directory / name, account)
            self._initialise(directory, account, password if self._settings.tcp else "")
            progress(f"made the system tables in {time.perf_counter() - begin:.1f} s")

        name = f"mysql-{self.version}-" + directories.digest(
            self._binaries.text, password if self._settings.tcp else "", str(account.uid)
        )
        kept = directories.made_once(
            home / "clusters" / name, self.origin(directories.boot_id()), account, initialise
        )
        said = process.run_tool(["cp", "-Rp", f"{kept / 'cluster'}/.", str(data)], account=account)
        if said:
            raise _tool_error(f"the system tables in {kept} cannot be copied", said, data)

    def _initialise(self, directory: Path, account: Account, password: str) -> None:
        """What ``mariadb-install-db`` does, which lies in another package than the server."""
        data = directory / "cluster"
        command = [self._binaries.program, "--no-defaults", f"--datadir={data}"]
        command.append(f"--tmpdir={directory / 'tmp'}")
        options = [
            f"--{name}" for name in ("innodb-log-file-size=16M", "character-set-server=utf8mb4")
        ]
        accounts = accounts_sql(password)
        if self._binaries.flavour == "mysql":
            script = directory / "accounts.sql"
            directories.write_whole(script, accounts.encode())
            account.give(script)
            command += ["--initialize-insecure", f"--init-file={script}"]
            text = b""
        else:
            command += ["--bootstrap", "--innodb-autoextend-increment=1", *options]
            tables = b"\n".join(path.read_bytes() for path in self._system_tables())
            head = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n"
            text = head.encode() + tables + b"\nFLUSH PRIVILEGES;\n" + accounts.encode()
        said = _run(command, text, account)
        if said:
            raise _tool_error(f"the system tables of {self.label} cannot be made", said, data)

    def _system_tables(self) -> list[Path]:
        """The scripts that make them; ``mariadb_`` in their names since MariaDB 11."""
        share = Path(self._binaries.program).parent.parent / "share"
        found = [
            path
            for part in _SYSTEM_TABLES
            for pattern in ("mariadb", "mysql")
            for place in (share / pattern, share)
            for path in (place / f"mariadb_{part}.sql", place / f"mysql_{part}.sql")
            if path.is_file()
        ]
        by_part = {path.name.partition("_")[2]: path for path in reversed(found)}
        missing = [part for part in _SYSTEM_TABLES if f"{part}.sql" not in by_part]
        if missing:
            raise ServerError(
                f"{self._binaries.program} cannot be used: {missing[0]}.sql, which makes its "
                f"system tables, is not in {share}/mysql or {share}/mariadb",
                hint="install the server's whole package",
            )
        return [by_part[f"{part}.sql"] for part in _SYSTEM_TABLES]

    def forget(self, data: Path, socket: Path) -> None:
        """Remove what would keep a new server from starting, or look like one."""
        for path in (data / _PID_FILE, socket, socket.with_name(socket.name + ".lock")):
            path.unlink(missing_ok=True)

    def command(
        self, data: Path, *, home: Path, account: Account, socket_dir: Path, port: int, tcp: bool
    ) -> list[str]:
        """The server with all its options, the configured ones last."""
        options = {**OPTIONS, **_OPTIONS_OF[self._binaries.flavour]}
        # A server that starts removes the temporary tables that it finds, whosever they are.
        options["tmpdir"] = str(socket_dir)
        options |= {
            name.replace("_", "-"): value for name, value in self._settings.server_options.items()
        }
        options["socket"] = str(socket_dir / SOCKET)
        options["pid-file"] = str(data / _PID_FILE)
        options |= {"bind-address": LOOPBACK, "port": str(port)} if tcp else {"skip-networking": ""}
        arguments = [
            f"--{name}={value}" if value else f"--{name}" for name, value in options.items()
        ]
        # The directory is an argument of its own, by which the process is recognised.
        return [self._binaries.program, "--no-defaults", "--datadir", str(data), *arguments]

    def state(self, data: Path, pid: int) -> State:
        """The process id is written just before connections are accepted."""
        try:
            written = (data / _PID_FILE).read_text("ascii").strip()
        except OSError:
            return "starting"
        return "ready" if written == str(pid) else "starting"

    def accepts(self, address: Address) -> bool:
        """Whether a connection is accepted now."""
        import pymysql

        try:
            pymysql.connect(unix_socket=address.socket, user=USER, ssl_disabled=True).close()
        except pymysql.err.Error:
            return False
        return True

    def transient(self, log: str) -> bool:
        """A server that was killed holds its files until the kernel has ended it."""
        return "Unable to lock" in log or "Can't lock" in log

    def failure(self, log: str) -> Mapping[str, str]:
        """The first line that is an error, and what helps against it."""
        errors = [line for line in log.splitlines() if "[ERROR]" in line]
        lines = errors or [line for line in log.splitlines() if line.strip()][-1:]
        cause = lines[0].rpartition("[ERROR]")[2].strip() if lines else ""
        failure = {"cause": cause}
        given = self._settings.server_options
        option = next(
            (one for one in given if one.replace("_", "-") in log.replace("_", "-")), None
        )
        if "No space left" in log:
            failure["hint"] = "free some space, or set `cache_dir` in [tool.slipstream]"
        elif option and ("unknown" in cause.lower() or option in cause):
            failure["hint"] = f"correct or remove {option!r} in `server_options`"
        return failure


def embedded_mysql(
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
    return EmbeddedServer(EmbeddedMysql(settings, binaries), cache_dir=cache_dir, tcp=settings.tcp)


def accounts_sql(password: str) -> str:
    """The server's one account, a statement a line.

    Args:
        password: For TCP: letters, digits, ``-`` and ``_``; empty where there is none. The socket
            lies in a private directory and needs no password.
    """
    lines = []
    for host, secret in (("localhost", ""), (LOOPBACK, password)):
        if secret or host == "localhost":
            lines.append(f"CREATE USER '{USER}'@'{host}' IDENTIFIED BY '{secret}';")
            lines.append(f"GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'{host}' WITH GRANT OPTION;")
    return "\n".join(lines) + "\n"


def _run(command: Sequence[str], text: bytes, account: Account) -> str | None:
    """Run the server's program over a script; None, or what it said when it failed."""
    try:
        done = subprocess.run(
            [*account.prefix, *command],
            input=text,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=process.environment(),
            start_new_session=True,
            **account.identity(),
        )
    except OSError as error:
        return f"error: {command[0]} cannot be run: {error.strerror}"
    said = done.stdout.decode("utf-8", "replace").strip()
    return None if done.returncode == 0 else said or f"it ended with status {done.returncode}"


def _tool_error(what: str, said: str, path: Path) -> ServerError:
    if "No space left" in said or "quota exceeded" in said.lower():
        return directories.no_space(path)
    lines = [line for line in said.splitlines() if "error" in line.lower()] or said.splitlines()
    return ServerError(f"{what}: {lines[0].strip()}")
