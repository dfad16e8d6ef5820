"""A written file, in blocks between marks, and how it is brought up to date.

The invariant: what stands outside of the marks is the user's and stays byte for byte. So does a
block that was edited, or deleted: its mark carries the digest of what was written, and the first
block names all blocks that were.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator

import msgspec

from pytest_slipstream.errors import SlipstreamError

HEADER = "header"
_BEGIN = re.compile(r"[ ]*# >>> slipstream ([\w-]+)(?: ([0-9a-f]{8}))?\Z")
_END = re.compile(r"[ ]*# <<< slipstream ([\w-]+)\Z")
_NAMES = re.compile(r"# Blocks: (.+)")


class Block(msgspec.Struct, frozen=True):
    """What stands between two marks.

    Args:
        name: In both marks.
        indent: Before both marks.
        body: Between them; whole lines.
        written: The digest of the body as it was written.
        tail: What follows, up to the next block: the user's.
    """

    name: str
    indent: str
    body: str
    written: str
    tail: str

    @property
    def edited(self) -> bool:
        """Whether the body is another than was written."""
        return digest(self.body) != self.written


class Document(msgspec.Struct, frozen=True):
    """A file: what comes before the first block, and the blocks."""

    preamble: str
    blocks: tuple[Block, ...]

    def text(self) -> str:
        """The file's content."""
        return self.preamble + "".join(map(_text, self.blocks))

    @property
    def by_name(self) -> dict[str, Block]:
        """The blocks, in their order."""
        return {block.name: block for block in self.blocks}

    @property
    def known(self) -> frozenset[str]:
        """The names of all blocks that were ever written into the file."""
        header = self.by_name.get(HEADER)
        named = _NAMES.search(header.body) if header else None
        return frozenset(named[1].split() if named else ()) | self.by_name.keys()


def digest(body: str) -> str:
    """What a mark carries."""
    return hashlib.sha256(body.encode()).hexdigest()[:8]


def read(text: str, name: str) -> Document:
    """A file's blocks.

    Args:
        text: Its content.
        name: For errors.

    Raises:
        SlipstreamError: A mark has no partner, or a block is there twice.
    """
    parts = list(_parts(text, name))
    preamble = "".join(part for part in parts if isinstance(part, str))
    blocks = [part for part in parts if isinstance(part, Block)]
    if len({block.name for block in blocks}) < len(blocks):
        raise SlipstreamError(f"{name} has two blocks of one name", hint="remove one of them")
    return Document(preamble, tuple(blocks))


def _parts(text: str, name: str) -> Iterator[str | Block]:
    """The preamble, and the blocks, each with its tail."""
    free: list[str] = []
    body: list[str] = []
    block: Block | None = None
    inside = False
    for line in text.splitlines(keepends=True):
        begin, end = _BEGIN.match(line.rstrip()), _END.match(line.rstrip())
        if inside and block is not None and end and end[1] == block.name:
            block = msgspec.structs.replace(block, body="".join(body))
            inside, free, body = False, [], []
        elif begin and not inside:
            yield _with_tail(block, "".join(free))
            indent = line[: line.index("#")]
            block, inside = Block(begin[1], indent, "", begin[2] or "", ""), True
        elif begin or end:
            raise SlipstreamError(
                f"{name} has the mark {line.strip()!r} without its partner",
                hint="put the other mark back, or remove this one",
            )
        else:
            (body if inside else free).append(line)
    if inside and block is not None:
        raise SlipstreamError(
            f"{name} has the mark '# >>> slipstream {block.name}' without its partner",
            hint="put the other mark back, or remove this one",
        )
    yield _with_tail(block, "".join(free))


def _with_tail(block: Block | None, text: str) -> str | Block:
    return text if block is None else msgspec.structs.replace(block, tail=text)


def _text(block: Block) -> str:
    return (
        f"{block.indent}# >>> slipstream {block.name} {block.written}\n"
        f"{block.body}{block.indent}# <<< slipstream {block.name}\n{block.tail}"
    )


def signed(document: Document) -> Document:
    """A new document, with the digests in its marks."""
    return Document(
        document.preamble,
        tuple(
            msgspec.structs.replace(block, written=digest(block.body)) for block in document.blocks
        ),
    )


def updated(old: Document, new: Document) -> tuple[Document, list[str]]:
    """The file after another run.

    Args:
        old: As it is.
        new: As it would be written today.

    Returns:
        What is to be written, and what was left alone, in words.
    """
    order = [block.name for block in new.blocks]
    names = [*order, *sorted(old.known.difference(order))]
    notes = []
    blocks = []
    for block in old.blocks:
        fresh = new.by_name.get(block.name)
        if fresh is not None and block.name == HEADER:
            fresh = _naming(fresh, names)
        if block.edited and block.body.strip():
            if fresh is not None and fresh.body != block.body:
                notes.append(
                    f"the block {block.name} was edited and is left as it is; to have it written "
                    "anew, delete what stands between its marks"
                )
            blocks.append(block)
        elif fresh is None:
            notes.append(f"the block {block.name} is no longer needed; delete it")
            blocks.append(block)
        else:
            blocks.append(
                msgspec.structs.replace(block, body=fresh.body, written=digest(fresh.body))
            )
    for block in new.blocks:
        if block.name not in old.known:
            later = set(order[order.index(block.name) + 1 :])
            place = next((n for n, one in enumerate(blocks) if one.name in later), len(blocks))
            blocks.insert(place, block)
    return Document(old.preamble, tuple(blocks)), notes


def _naming(header: Block, names: Iterable[str]) -> Block:
    """The first block; what was deleted stays named, so that it is not written again."""
    listed = f"# Blocks: {' '.join(names)}"
    return msgspec.structs.replace(header, body=_NAMES.sub(lambda _: listed, header.body))
