"""MariaDB or MySQL as an embedded server: how its data is made, started and recognised.

The server is tuned for data that nobody would miss: nothing is synced. The system tables are made
once for a build, and copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.servers import directories, process
from pytest_slipstream.databases.servers.clusters import tool_error
from pytest_slipstream.databases.servers.endpoints import LOOPBACK
from pytest_slipstream.databases.servers.mysql_binaries import Binaries, find_binaries
from pytest_slipstream.databases.servers.privileges import Account
from pytest_slipstream.databases.servers.product import Product, State
from pytest_slipstream.errors import ServerError

_SOCKET = "mysqld.sock"
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
        # Each ALTER syncs the log of DDL ten times: on a disk 30 ms, and cleaning alters.
        "loose-debug-no-sync": "1",
        "skip-log-bin": "",
        "feedback": "OFF",
    },
    "mysql": {
        "performance-schema": "ON",
        "performance-schema-consumer-events-transactions-current": "ON",
        "innodb-flush-method": "nosync",
        "loose-innodb-redo-log-capacity": "64M",  # since 8.0.30
        "information-schema-stats-expiry": "0",
        "disable-log-bin": "",
        "mysqlx": "OFF",
        # Packages name a directory that only their other parts make, without which it stops.
        "secure-file-priv": "/",
    },
}
_LASTING = ("innodb-page-size", "lower-case-table-names")
_SYSTEM_TABLES = ("system_tables", "performance_tables", "system_tables_data")


class EmbeddedMysql(Product[Binaries]):
    """MariaDB or MySQL for `EmbeddedServer`."""

    engine = "mysql"
    maintenance_database = "information_schema"
    default_port = 3306
    reserved_options = ("bind-address", "datadir", "pid-file", "port", "skip-networking", "socket")
    stop = (("SIGTERM", 10.0),)
    says_ready_early = True  # MySQL looks at the names of its options afterwards

    def _find(self, environ: Mapping[str, str]) -> Binaries:
        return find_binaries(environ)

    def _facts(self) -> list[str]:
        return [repr(_OPTIONS_OF), repr(sorted(OPTIONS.items()))]

    @property
    def identity(self) -> str:
        """The build, and the options, which decide character set and SQL mode."""
        options = sorted(self._settings.server_options.items())
        return f"embedded {self.build.identity} {options}"

    @classmethod
    def socket_name(cls, port: int) -> str:
        """The same for every port."""
        return _SOCKET

    @property
    def cluster(self) -> str:
        """``the system tables of MariaDB 10.11.8``."""
        return f"the system tables of {self.label}"

    def cluster_facts(self, password: str) -> list[str]:
        """The build, the password where there is one, and what MySQL never changes later."""
        return [self.build.identity, self._password(password), *self._lasting()]

    def _lasting(self) -> list[str]:
        """The configured options that MySQL takes only when it makes its system tables."""
        if self.build.flavour != "mysql":
            return []
        given = {
            name.replace("_", "-"): value for name, value in self._settings.server_options.items()
        }
        return [f"--{name}={given[name]}" for name in _LASTING if name in given]

    def _password(self, password: str) -> str:
        return password if self._settings.tcp else ""

    def make_cluster(self, cluster: Path, *, home: Path, account: Account, password: str) -> None:
        """What ``mariadb-install-db`` does, which lies in another package than the server."""
        temporary = cluster.with_name("tmp")
        directories.make_given(temporary, account)
        command = [str(self.build.program), "--no-defaults", f"--datadir={cluster}"]
        command.append(f"--tmpdir={temporary}")
        options = [
            f"--{name}" for name in ("innodb-log-file-size=16M", "character-set-server=utf8mb4")
        ]
        accounts = accounts_sql(self.user, self._password(password))
        if self.build.flavour == "mysql":
            script = cluster.with_name("accounts.sql")
            directories.write_whole(script, accounts.encode())
            account.give(script)
            # With its defaults it makes 110 MB more, which every new server would copy.
            command += ["--loose-innodb-redo-log-capacity=8M", "--innodb-doublewrite=0"]
            command += [*self._lasting(), "--initialize-insecure", f"--init-file={script}"]
            text = b""
        else:
            command += ["--bootstrap", "--innodb-autoextend-increment=1", *options]
            tables = b"\n".join(path.read_bytes() for path in self._system_tables())
            head = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n"
            text = head.encode() + tables + b"\nFLUSH PRIVILEGES;\n" + accounts.encode()
        said = process.run_tool(command, account=account, text=text)
        if said:
            raise tool_error(f"{self.cluster} cannot be made", said.splitlines(), cluster)

    def _system_tables(self) -> list[Path]:
        """The scripts that make them; ``mariadb_`` in their names since MariaDB 11."""
        share = self.build.program.parent.parent / "share"
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
                f"{self.build.program} cannot be used: {missing[0]}.sql, which makes its "
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
        options = {**OPTIONS, **_OPTIONS_OF[self.build.flavour]}
        # A server that starts removes the temporary tables that it finds, whosever they are.
        options["tmpdir"] = str(socket_dir)
        options |= {
            name.replace("_", "-"): value for name, value in self._settings.server_options.items()
        }
        options["socket"] = str(socket_dir / _SOCKET)
        options["pid-file"] = str(data / _PID_FILE)
        options |= {"bind-address": LOOPBACK, "port": str(port)} if tcp else {"skip-networking": ""}
        arguments = [
            f"--{name}={value}" if value else f"--{name}" for name, value in options.items()
        ]
        # The directory is an argument of its own, by which the process is recognised.
        return [str(self.build.program), "--no-defaults", "--datadir", str(data), *arguments]

    def state(self, data: Path, pid: int) -> State:
        """The process id is written before connections are accepted, by MariaDB just before."""
        try:
            written = (data / _PID_FILE).read_text("ascii").strip()
        except OSError:
            return "starting"
        return "ready" if written == str(pid) else "starting"

    def accepts(self, address: Address) -> bool:
        """Whether a connection is accepted now."""
        import pymysql

        try:
            pymysql.connect(
                unix_socket=address.socket, user=self.user, ssl_disabled=True, read_timeout=10
            ).close()
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


def accounts_sql(user: str, password: str) -> str:
    """The server's one account, a statement a line.

    Args:
        user: Its name.
        password: For TCP: letters, digits, ``-`` and ``_``; empty where there is none. The socket
            lies in a private directory and needs no password.
    """
    lines = []
    for host, secret in (("localhost", ""), (LOOPBACK, password)):
        if secret or host == "localhost":
            lines.append(f"CREATE USER '{user}'@'{host}' IDENTIFIED BY '{secret}';")
            lines.append(f"GRANT ALL PRIVILEGES ON *.* TO '{user}'@'{host}' WITH GRANT OPTION;")
    return "\n".join(lines) + "\n"
