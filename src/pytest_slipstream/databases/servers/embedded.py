"""The embedded servers of a cache directory: list them, stop one, tidy up after killed runs.

The invariant: what a live process uses is neither stopped nor removed, unless that is forced; and
each server is looked at only under its start lock.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from pytest_slipstream.databases.servers import directories, endpoints, stores
from pytest_slipstream.databases.servers.directories import Origin
from pytest_slipstream.databases.servers.privileges import server_account
from pytest_slipstream.databases.servers.sharing import Sharing
from pytest_slipstream.errors import ServerError

_MADE_ONCE = ("clusters", "binaries")


class ServerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An embedded server as `list_servers` finds it.

    ``name`` is what `stop_server` takes. ``pid`` is None when it does not run. ``users`` are
    process ids. ``stale`` says why its data will not be used again, or is None.
    """

    name: str
    label: str
    directory: Path
    pid: int | None
    users: tuple[int, ...]
    data: Path
    size_bytes: int
    stale: str | None


def list_servers(cache_dir: Path) -> list[ServerEntry]:
    """The servers whose data a cache directory keeps, running or not."""
    entries = []
    for directory, origin in _servers(_home(cache_dir)):
        sharing = Sharing(directory)
        with sharing.alone(lambda message: None):
            users = tuple(sharing.users())
        store = Path(origin.store)
        entries.append(
            ServerEntry(
                name=directory.name,
                label=origin.label,
                directory=directory,
                pid=stores.process_id(store),
                users=users,
                data=store / "data",
                size_bytes=directories.size_bytes(store),
                stale=origin.stale(),
            )
        )
    return entries


def serving(cache_dir: Path, users: set[int]) -> list[int]:
    """The processes of the servers that any of these processes uses.

    Takes no lock, so that who only looks on keeps nobody waiting.
    """
    found = (
        stores.process_id(Path(origin.store))
        for directory, origin in _servers(_home(cache_dir))
        if not users.isdisjoint(Sharing(directory).named())
    )
    return [pid for pid in found if pid is not None]


def stop_server(cache_dir: Path, name: str, *, force: bool = False) -> bool:
    """Stop a server; its data stays.

    Args:
        cache_dir: The cache directory.
        name: `ServerEntry.name`.
        force: Also while processes use it.

    Returns:
        False when it did not run.

    Raises:
        ServerError: There is no such server, or it is in use and ``force`` is not given.
    """
    found = dict(_servers(_home(cache_dir)))
    directory = _home(cache_dir) / name
    if directory not in found:
        names = ", ".join(sorted(one.name for one in found)) or "none"
        raise ServerError(
            f"there is no embedded server {name!r} in {cache_dir}; there are: {names}"
        )
    sharing = Sharing(directory)
    with sharing.alone(lambda message: None):
        users = sharing.users()
        if users and not force:
            pids = ", ".join(map(str, users))
            raise ServerError(
                f"{found[directory].label} ({name}) is in use by process {pids}",
                hint="wait for those runs to end, or add `--force`",
            )
        return stores.stop_in(Path(found[directory].store))


def prune(cache_dir: Path, *, ram_disk: Path = stores.RAM_DISK) -> list[str]:
    """Stop servers that nobody uses and remove what no later run would use.

    Args:
        cache_dir: The cache directory.
        ram_disk: Where stores lie when there is room.

    Returns:
        What was done, a sentence each.
    """
    home = _home(cache_dir)
    done: list[str] = []
    for directory, origin in _servers(home):
        done += _prune_server(directory, origin)
    for directory in sorted(home.glob(f"*{directories.OF_RUN}*/")):
        with Sharing(directory).alone_now() as held:
            if held and not Sharing(directory).users():
                discard(directory)
                done.append(f"removed {directory}: its run has ended")
    done += _prune_made_once(home)
    done += _prune_ram_disk(ram_disk)
    for abandoned, owner in _short_homes():
        if not owner.is_dir():
            for directory, origin in _servers(abandoned):
                stores.discard(Path(origin.store))
                directories.remove(directory)
            directories.remove(abandoned)
            done.append(f"removed {abandoned}: its cache directory {owner} is gone")
    return done


def discard(directory: Path) -> None:
    """Stop the server of a run that has ended, and remove all of it. Under its start lock."""
    origin = directories.read_origin(directory)
    if origin is not None:
        stores.discard(Path(origin.store))
    directories.remove(endpoints.short_socket_directory(directory))
    directories.remove(directory)
    Sharing(directory).forget()


def _home(cache_dir: Path) -> Path:
    return directories.servers_home(cache_dir, server_account())


def _servers(home: Path) -> Iterator[tuple[Path, Origin]]:
    """The directories of servers that were made whole."""
    for path in sorted(home.glob(f"*/{directories.ORIGIN}")):
        origin = directories.read_origin(path.parent)
        if origin is not None:
            yield path.parent, origin


def _prune_server(directory: Path, origin: Origin) -> list[str]:
    sharing = Sharing(directory)
    done = []
    with sharing.alone_now() as held:
        if not held or sharing.users():
            return []
        if stores.stop_in(Path(origin.store)):
            done.append(f"stopped {origin.label} ({directory.name}): nobody used it")
        why = origin.stale()
        if why:
            stores.discard(Path(origin.store))
            directories.remove(directory)
            directories.remove(endpoints.short_socket_directory(directory))
            done.append(f"removed {directory}: {why}")
    return done


def _prune_made_once(home: Path) -> list[str]:
    done = []
    for directory in (path for kind in _MADE_ONCE for path in sorted(home.glob(f"{kind}/*"))):
        if not directory.is_dir():
            continue
        name = directory.name.partition(directories.MAKING)[0]
        try:
            with FileLock(directory.with_name(name + ".lock"), timeout=0, thread_local=False):
                origin = directories.read_origin(directory)
                why = "it was not finished" if origin is None else origin.stale()
                if why:
                    directories.remove(directory)
                    done.append(f"removed {directory}: {why}")
        except Timeout:
            continue
    return done


def _prune_ram_disk(ram_disk: Path) -> list[str]:
    """Remove stores that their server's directory does not name, or whose directory is gone."""
    done = []
    for store, directory in stores.on_ram_disk(ram_disk):
        if not directory.parent.is_dir():
            stores.discard(store)
            done.append(f"removed {store}: {directory} is gone")
            continue
        with Sharing(directory).alone_now() as held:
            origin = directories.read_origin(directory)
            if held and (origin is None or Path(origin.store) != store):
                stores.discard(store)
                done.append(f"removed {store}: {directory} does not use it")
    return done


def _short_homes() -> Iterator[tuple[Path, Path]]:
    """Homes outside their cache directory, with that directory."""
    for note in directories.SHORT_BASE.glob(
        f"slipstream-{os.geteuid()}-*/{directories.CACHE_NOTE}"
    ):
        if note.lstat().st_uid == os.geteuid():
            yield note.parent, Path(os.fsdecode(note.read_bytes()))
