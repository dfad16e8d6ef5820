"""Where the project's own code calls what waits: its nearest line in the stack."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

OUTSIDE = "outside the project's code"
_INSTALLED = frozenset(("site-packages", "dist-packages"))


class Places:
    """Of one project.

    Args:
        rootdir: What lies in it is the project's, but for what is installed there.
    """

    def __init__(self, rootdir: Path) -> None:
        self._rootdir = rootdir
        foreign = (Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[1])
        self._foreign = [one for one in foreign if rootdir in one.parents]
        self._names: dict[str, str] = {}

    def of(self, frame: FrameType | None) -> str:
        """``in file:line`` of the innermost frame that is the project's, or `OUTSIDE`."""
        while frame is not None:
            file = frame.f_code.co_filename
            name = self._names.get(file)
            if name is None:
                name = self._names[file] = self._name(file)
            if name:
                return f"in {name}:{frame.f_lineno}"
            frame = frame.f_back
        return OUTSIDE

    def _name(self, file: str) -> str:
        """Relative to the rootdir; "" if it is not the project's."""
        path = Path(file).absolute()
        if file.startswith("<") or not path.is_relative_to(self._rootdir):
            return ""
        installed = _INSTALLED.intersection(path.parts) or any(
            map(path.is_relative_to, self._foreign)
        )
        return "" if installed else path.relative_to(self._rootdir).as_posix()
