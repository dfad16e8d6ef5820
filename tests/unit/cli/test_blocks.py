"""Marked blocks: what is written anew, and what is left alone."""

from __future__ import annotations

import pytest

from pytest_slipstream.cli.workflow.blocks import Document, read, signed, updated
from pytest_slipstream.errors import SlipstreamError


def written(**bodies: str) -> Document:
    """A document as a template gives it, each block with a line for the user after it."""
    names = " ".join(["header", *bodies])
    text = f"# >>> slipstream header\n# Blocks: {names}\n# <<< slipstream header\nmine: 0\n"
    for name, body in bodies.items():
        text += f"  # >>> slipstream {name}\n{body}  # <<< slipstream {name}\nmine: {name}\n"
    return signed(read(text, "file"))


def again(text: str, new: Document) -> tuple[str, list[str]]:
    document, notes = updated(read(text, "file"), new)
    return document.text(), notes


def test_what_was_written_is_read_as_it_was():
    text = written(one="a: 1\n", two="b: 2\n").text()
    assert read(text, "file").text() == text
    assert not any(block.edited for block in read(text, "file").blocks)
    assert again(text, written(one="a: 1\n", two="b: 2\n")) == (text, [])


def test_blocks_are_written_anew_and_all_else_stays():
    text = "# mine\n" + written(one="a: 1\n", two="b: 2\n").text().replace("mine: one", "mine: own")
    new, notes = again(text, written(one="a: 3\n", two="b: 2\n"))
    assert notes == []
    assert read(new, "file").by_name["one"].body == "a: 3\n"
    assert new.startswith("# mine\n# >>> slipstream header ")
    assert "mine: own" in new
    assert again(new, written(one="a: 3\n", two="b: 2\n")) == (new, [])


def test_an_edited_block_is_left_and_named_where_it_would_have_changed():
    text = written(one="a: 1\n").text().replace("a: 1", "a: 9")
    assert again(text, written(one="a: 1\n")) == (text, [
        "the block one was edited and is left as it is; to have it written anew, delete what "
        "stands between its marks"
    ])  # fmt: skip
    assert again(text, written(one="a: 9\n")) == (text, [])


def test_a_block_that_was_emptied_is_written_anew():
    for rest in ("", "\n  \n"):
        text = written(one="a: 1\n").text().replace("a: 1\n", rest)
        assert again(text, written(one="a: 1\n")) == (written(one="a: 1\n").text(), [])


def test_a_new_block_comes_with_what_follows_it_before_the_next_one():
    new, _ = again(
        written(one="a: 1\n", two="b: 2\n").text(), written(one="a: 1\n", mid="c\n", two="b: 2\n")
    )
    assert new == written(one="a: 1\n", mid="c\n", two="b: 2\n").text()


def test_a_block_that_was_deleted_stays_deleted():
    whole = written(one="a: 1\n", two="b: 2\n")
    start, end = "  # >>> slipstream two", "  # <<< slipstream two\n"
    text = whole.text()
    text = text[: text.index(start)] + text[text.index(end) + len(end) :]
    new, notes = again(text, written(one="a: 5\n"))
    assert "two" in read(new, "file").known
    assert notes == []
    assert again(new, written(one="a: 5\n", two="b: 2\n"))[0] == new


def test_a_block_of_which_nothing_is_known_any_more_is_named_and_stays():
    text = written(one="a: 1\n", two="b: 2\n").text()
    new, notes = again(text, written(one="a: 1\n"))
    assert "b: 2\n" in new
    assert notes == ["the block two is no longer needed; delete it"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # <<< slipstream one\n", ""),
        ("  # >>> slipstream two ", "  # >>> slipstream one "),
        ("mine: one\n", "# <<< slipstream one\n"),
        ("# <<< slipstream two", "# <<< slipstream other"),
    ],
)
def test_marks_that_make_no_pairs_are_an_error(old, new):
    text = written(one="a: 1\n", two="b: 2\n").text()
    assert old in text
    with pytest.raises(SlipstreamError) as caught:
        read(text.replace(old, new), "file.yml")
    assert caught.value.message.startswith("file.yml has ")
    assert caught.value.hint
