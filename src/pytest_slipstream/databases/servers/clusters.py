"""The data of a new server: a copy of what its product makes once for a build.

The invariant: what is copied was finished, in this boot, by the same programs, for the same account
and password.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_slipstream.databases.engines.protocol import Progress
from pytest_slipstream.databases.servers import directories, process
from pytest_slipstream.databases.servers.privileges import Account
from pytest_slipstream.databases.servers.product import Product
from pytest_slipstream.errors import ServerError


def make_data(
    product: Product[Any],
    data: Path,
    *,
    home: Path,
    account: Account,
    password: str,
    progress: Progress,
) -> None:
    """Fill the empty directory ``data``, which belongs to ``account``.

    Raises:
        ServerError: It cannot be made.
    """
    begin = time.perf_counter()

    def make(directory: Path) -> None:
        progress(f"making {product.cluster}, for the first time on this machine")
        directories.make_given(directory / "cluster", account)
        product.make_cluster(directory / "cluster", home=home, account=account, password=password)
        progress(f"made {product.cluster} in {time.perf_counter() - begin:.1f} s")

    digest = directories.digest(*product.cluster_facts(password), str(account.uid))
    name = f"{product.engine}-{product.version}-{digest}"
    kept = directories.made_once(home / "clusters" / name, product.origin(), account, make)
    # By a program and as the account: it owns the copy, and the kernel copies in bulk.
    said = process.run_tool(["cp", "-Rp", f"{kept / 'cluster'}/.", str(data)], account=account)
    if said:
        raise tool_error(f"{product.cluster} in {kept} cannot be copied", said.splitlines(), data)


def tool_error(what: str, said: Sequence[str], path: Path) -> ServerError:
    """The error for a program that failed.

    Args:
        what: What cannot be done.
        said: The program's lines, the most telling first.
        path: Where it wrote.
    """
    if any("No space left" in line or "quota exceeded" in line.lower() for line in said):
        return directories.no_space(path)
    cause = next((line for line in said if "error" in line.lower()), said[0])
    return ServerError(f"{what}: {cause.strip()}")
