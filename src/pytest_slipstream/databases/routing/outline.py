"""A statement without what its literals, quoted names and comments say.

Pure. The invariant: what the server reads as a word of the statement stays; where a quote or a
comment has no end that can be told, everything stays.
"""

from __future__ import annotations

import re
from functools import cache

_DOUBLED = r"'(?:[^']|'')*'"
_ESCAPED = r"'(?:[^'\\]|\\.|'')*'"
_NAME = r'"(?:[^"]|"")*"'
# In the order in which they are tried at each place; what a group `comment` matches is a space.
_QUOTED = {
    # Lexical Structure, in PostgreSQL's manual: E'…' has escapes, $tag$ … $tag$ has none.
    "postgresql": rf"(?<![\w$])e{_ESCAPED}|{_DOUBLED}|{_NAME}|"
    r"(?<![\w$])(?P<tag>\$(?:[^\W\d]\w*)?\$).*?(?P=tag)",
    "sqlite": rf"{_DOUBLED}|{_NAME}|`[^`]*`|\[[^\]]*\]",
    "mysql": rf'{_ESCAPED}|"(?:[^"\\]|\\.|"")*"|`[^`]*`',
}
_COMMENTS = {
    "postgresql": r"--[^\n]*|/\*(?:(?!/\*|\*/).)*\*/",
    "sqlite": r"--[^\n]*|/\*.*?\*/",
    # Comments, in MySQL's manual: two dashes want a space; /*! … */ is run.
    "mysql": r"--(?=\s|\Z)[^\n]*|\#[^\n]*|/\*(?!!|M!).*?\*/",
}
_WITHOUT_END = re.compile(r"""['"`]|\$(?:[^\W\d]\w*)?\$|/\*""")


def outline(sql: str, engine: str) -> str:
    """``sql`` with ``?`` for each literal and quoted name, and a space for each comment.

    Args:
        sql: One statement, or several.
        engine: The product that will run it.
    """
    found = _tokens(engine).sub(lambda match: " " if match["comment"] else "?", sql)
    return sql if _WITHOUT_END.search(found) else found


@cache
def _tokens(engine: str) -> re.Pattern[str]:
    pattern = rf"(?P<comment>{_COMMENTS[engine]})|{_QUOTED[engine]}"
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)
