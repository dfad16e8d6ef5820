"""A queue's URL as messages show it: without a password, wherever it stands in the URL."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit


def redacted(url: str) -> str:
    """The URL without user, password, query and fragment.

    Where a password with characters that are not encoded makes it unclear what is the host, neither
    is shown.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "***"
    if "@" in parts.path + parts.query + parts.fragment:
        return f"{parts.scheme}://***"
    _, at, host = parts.netloc.rpartition("@")
    return urlunsplit((parts.scheme, f"***@{host}" if at else host, parts.path, "", ""))
