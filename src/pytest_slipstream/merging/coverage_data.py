"""Coverage data of many machines as one, by the package coverage and the project's settings of it.

Imported only where there is such data.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

from pytest_slipstream.errors import MissingExtraError, SlipstreamError


def combine(files: Iterable[Path], target: Path) -> None:
    """Write one data file; those it is made from stay.

    Raises:
        SlipstreamError: A file is no coverage data, or the package coverage is not installed.
    """
    try:
        from coverage import Coverage
        from coverage.exceptions import CoverageException, CoverageWarning
    except ImportError as error:
        raise MissingExtraError(
            "there are coverage data files, and the package coverage is not installed",
            hint="pip install coverage",
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", CoverageWarning)  # of a file that is passed over
            combined = Coverage(data_file=str(target), messages=False)
            combined.combine([str(file) for file in files], strict=True, keep=True)
            combined.save()
    except (CoverageException, CoverageWarning) as error:
        raise SlipstreamError(f"the coverage data cannot be combined: {error}") from error
