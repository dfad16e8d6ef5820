"""Where servers and templates stay between runs.

The invariant: a directory that the user named is used or refused, never replaced in silence; only
the default one has a fallback.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pytest_slipstream.errors import ConfigurationError

VARIABLE = "SLIPSTREAM_CACHE_DIR"
_FOR_ROOT = Path("/var/cache/pytest-slipstream")
_HINT = f"set `cache_dir` in [tool.slipstream] or {VARIABLE} to a directory you may write to"


def cache_directory(explicit: str | None, environ: Mapping[str, str]) -> Path:
    """The cache directory, made if it was not there.

    Args:
        explicit: The option ``cache_dir``; it wins over the environment.
        environ: The environment, for ``SLIPSTREAM_CACHE_DIR``.

    Returns:
        An absolute path that this user may write to.

    Raises:
        ConfigurationError: The named directory cannot be used, or neither the default nor its
            fallback.
    """
    named = explicit or environ.get(VARIABLE)
    if named:
        path = Path(named).expanduser().absolute()
        problem = _problem(path)
        if problem:
            raise ConfigurationError(
                f"the cache directory {path} cannot be used: {problem}", hint=_HINT
            )
        return path
    default = _default()
    problem = _problem(default)
    if not problem:
        return default
    fallback = Path(tempfile.gettempdir()) / f"pytest-slipstream-{_user_id()}"
    second = _problem(fallback) or _foreign(fallback)
    if second:
        raise ConfigurationError(
            f"no cache directory can be used: {default} ({problem}), {fallback} ({second})",
            hint=_HINT,
        )
    return fallback


def _default() -> Path:
    if _user_id() == 0:
        # An embedded server of root's runs as an unprivileged user, who cannot enter root's home.
        return _FOR_ROOT
    import platformdirs

    return Path(platformdirs.user_cache_dir("pytest-slipstream"))


def _problem(path: Path) -> str | None:
    """Make ``path``; why it cannot be written to, or None."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o711 if _user_id() == 0 else 0o700, exist_ok=True)
    except FileExistsError:
        return "it is not a directory"
    except OSError as error:
        return (error.strerror or str(error)).lower()
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return "it may not be written to"
    return None


def _foreign(path: Path) -> str | None:
    """Why a name in the shared temporary directory is not to be trusted, or None."""
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != _user_id():
        return "it belongs to another user"
    return None


def _user_id() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else -1
