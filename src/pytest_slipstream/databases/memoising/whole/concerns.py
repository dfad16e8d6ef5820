"""Whether a statement is worth a look by those who know about whole databases.

The invariant: it is asked of every statement of a driver, and loads nothing.
"""

from __future__ import annotations

ASKS = "SELECT /* slipstream */"
"""What slipstream itself asks over the application's connection begins so."""


def concerns(text: str) -> bool:
    """Whether a statement may be about whole databases; cheap, since it is asked of all."""
    if text.startswith(ASKS):
        return False
    lowered = text.lower()
    return (
        "database" in lowered
        or "drop " in lowered
        or "reassign" in lowered
        or ("pg_shdepend" in lowered)
    )
