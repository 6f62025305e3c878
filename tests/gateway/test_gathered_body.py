"""Bodies are gathered in little memory, whatever pieces they come in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.gateway.gathered_body import GatheredBody

MIB = 1 << 20
SIZES = st.lists(st.integers(0, 900_000), max_size=12)


@given(SIZES, st.booleans())
def test_the_whole_is_the_sum_of_its_pieces(sizes: list[int], declared: bool) -> None:
    pieces = [bytes([65 + at % 26]) * size for at, size in enumerate(sizes)]
    body = GatheredBody(sum(sizes) if declared else None)
    for piece in pieces:
        body.add(piece)
    assert body.size_bytes == sum(sizes)
    assert body.take() == b"".join(pieces)
    assert (body.size_bytes, body.take()) == (0, b"")


@pytest.mark.parametrize("length", [None, 40 * MIB, 5])
def test_a_body_may_be_longer_than_it_said(length: int | None) -> None:
    """The parser keeps to a declared length; this does not rely on it."""
    body = GatheredBody(length)
    for at in range(40):
        body.add(bytes([at]) * MIB)
    whole = body.take()
    assert len(whole) == 40 * MIB
    assert all(whole[at * MIB] == whole[(at + 1) * MIB - 1] == at for at in range(40))


def test_a_piece_that_is_large_by_itself() -> None:
    body = GatheredBody(3 * MIB)
    body.add(b"a" * 3 * MIB)
    assert body.take() == b"a" * 3 * MIB


def test_what_was_forgotten_is_gone() -> None:
    body = GatheredBody(None)
    body.add(b"x" * 2 * MIB)
    body.forget()
    body.forget()
    assert (body.size_bytes, body.take()) == (0, b"")
