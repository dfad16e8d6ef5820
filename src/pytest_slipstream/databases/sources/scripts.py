"""``.sql`` files and directories of them.

Files of a directory are run in natural order, its subdirectories' files among them by their path,
so that ``2_users.sql`` comes before ``10_orders.sql``.
"""

from __future__ import annotations

import re
from pathlib import Path

from pytest_slipstream.databases.engines.protocol import Address, Engine, ScriptError
from pytest_slipstream.databases.sources.forms import DirectorySource, ScriptSource
from pytest_slipstream.errors import TemplateError

_SHOWN_STATEMENT = 300


def files(source: ScriptSource | DirectorySource, rootdir: Path) -> list[Path]:
    """The files of a source, in the order in which they are run; what is not there is left out."""
    path = rootdir / source.text
    if isinstance(source, ScriptSource):
        return [path] if path.is_file() else []
    return sorted(path.rglob("*.sql"), key=lambda file: natural(file.relative_to(path).as_posix()))


def natural(text: str) -> tuple[tuple[int, str], ...]:
    """A key that sorts runs of digits by their value."""
    return tuple(
        (int(piece), "") if piece.isdigit() else (-1, piece) for piece in re.split(r"(\d+)", text)
    )


def run(
    source: ScriptSource | DirectorySource, engine: Engine, address: Address, rootdir: Path
) -> None:
    """Run the files of a source.

    Raises:
        TemplateError: when there are none, one cannot be read, or a statement fails.
    """
    found = files(source, rootdir)
    if not found:
        what = "file" if isinstance(source, ScriptSource) else "directory with .sql files"
        raise TemplateError(
            f"{source}: there is no {what} at {rootdir / source.text}",
            hint=f"write the path relative to {rootdir}",
        )
    for file in found:
        try:
            engine.run_script(address, file.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            raise TemplateError(f"{source}: {file} cannot be read: {error}") from error
        except ScriptError as error:
            raise TemplateError(
                f"{source}: {file}:{error.line}: {error.message}\n"
                f"in the statement: {_short(error.statement)}"
            ) from error


def _short(statement: str) -> str:
    text = statement.strip()
    return text if len(text) <= _SHOWN_STATEMENT else text[:_SHOWN_STATEMENT] + " …"
