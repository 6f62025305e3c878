"""Frames: what is written is read; what is damaged is skipped and nothing else with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_entries import held_call, ledger_entry, profile, settled_call
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.storage.journal import frames


def segment(count: int) -> tuple[bytes, list[LedgerEntry]]:
    entries = [ledger_entry() for _ in range(count)]
    data = b"".join(frames.frame(frames.KIND_ENTRY, entry) for entry in entries)
    return data, entries


def read(data: bytes) -> tuple[list[LedgerEntry], int]:
    entries: list[LedgerEntry] = []
    damaged = 0
    for step in frames.scan(data, 0):
        if step.frame is None:
            damaged += 1
        else:
            entries.append(step.frame.entry())
    return entries, damaged


def test_records_come_back_as_they_went() -> None:
    held = held_call(profile=profile(tags={"ключ": "значение"}))
    settled = settled_call(held, cost_nanos=None)
    entry = ledger_entry(cost_nanos=None, tags={"a": "b"})
    data = (
        frames.frame(frames.KIND_HELD, held)
        + frames.frame(frames.KIND_POSTED, settled)
        + frames.frame(frames.KIND_ENTRY, entry)
    )
    first, second, third = [step.frame for step in frames.scan(data, 0)]
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.held() == held
    assert second.settled() == settled
    assert third.entry() == entry


@given(st.data())
def test_any_entry_survives(data: st.DataObject) -> None:
    text = st.text(max_size=50)
    entry = ledger_entry(
        model_requested=data.draw(text),
        tags=data.draw(st.dictionaries(text, text, max_size=5)),
        cost_nanos=data.draw(st.none() | st.integers(-(2**62), 2**62)),
        input_tokens=data.draw(st.integers(0, 2**62)),
        units=data.draw(st.dictionaries(text, st.integers(0, 2**62), max_size=3)),
    )
    assert read(frames.frame(frames.KIND_ENTRY, entry)) == ([entry], 0)


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_one_damaged_byte_costs_one_record(flip: int) -> None:
    data, entries = segment(3)
    size = len(data) // 3
    for place in range(len(data)):
        broken = bytearray(data)
        broken[place] ^= flip
        got, damaged = read(bytes(broken))
        expected = [entry for index, entry in enumerate(entries) if index != place // size]
        assert got == expected, place
        # What follows the last record cannot be told from an end, so it is not counted.
        assert damaged == (0 if place // size == 2 else 1)


def test_a_torn_end_is_quietly_dropped() -> None:
    data, entries = segment(2)
    size = len(data) // 2
    for end in range(size, len(data)):
        assert read(data[:end]) == (entries[:1], 0)
        padded = data[:end] + bytes(1000)
        is_whole = padded.startswith(data)  # only zeros were missing, and zeros came
        assert read(padded) == (entries if is_whole else entries[:1], 0)


def test_a_record_that_looks_like_frames_inside_is_not_split() -> None:
    inner = frames.frame(frames.KIND_ENTRY, ledger_entry())
    entry = ledger_entry(usage_raw=inner.decode("latin-1"))
    outer = frames.frame(frames.KIND_ENTRY, entry)
    assert read(outer) == ([entry], 0)


def test_a_record_too_large_is_not_written() -> None:
    with pytest.raises(ValueError, match="a journal record of"):
        frames.frame(frames.KIND_ENTRY, ledger_entry(usage_raw="x" * (2 << 20)))
