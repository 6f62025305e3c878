"""The chain of the audit log: whatever is done to it afterwards is found, at the first place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.audit import (
    DETAIL_CHARS_MAX,
    NO_HASH,
    NO_HEAD,
    Action,
    Actor,
    ActorKind,
    AuditEntry,
    Head,
    Record,
    Target,
    against_noted,
    changed,
    detail_text,
    hash_of,
    sealed,
    walked,
)

TEXT = st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
RECORDS = st.builds(
    Record,
    st.builds(Actor, st.sampled_from(ActorKind), TEXT, TEXT, TEXT),
    st.sampled_from(Action),
    st.builds(Target, TEXT, TEXT),
    st.dictionaries(TEXT, JSON, max_size=3),
)
CHAINS = st.lists(st.tuples(RECORDS, st.integers(0, 2**50)), min_size=1, max_size=8)


def chain(records: Sequence[tuple[Record, int]]) -> list[AuditEntry]:
    entries: list[AuditEntry] = []
    head = NO_HEAD
    for record, at_us in records:
        entries.append(sealed(record, at_us, head))
        head = Head(entries[-1].seq, entries[-1].hash)
    return entries


def first_bad(entries: Sequence[AuditEntry], noted: Head) -> int | None:
    return against_noted(walked(entries), noted).bad_seq


def head_of(entries: Sequence[AuditEntry]) -> Head:
    return Head(entries[-1].seq, entries[-1].hash)


@given(CHAINS)
def test_a_log_that_nobody_touched_is_whole(records: list[tuple[Record, int]]) -> None:
    entries = chain(records)
    assert walked(entries).head == head_of(entries)
    assert first_bad(entries, head_of(entries)) is None
    assert entries[0].prev_hash == NO_HASH
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))


@given(CHAINS, st.data())
def test_any_field_that_changes_is_found(
    records: list[tuple[Record, int]], data: st.DataObject
) -> None:
    entries = chain(records)
    noted = head_of(entries)
    at = data.draw(st.integers(0, len(entries) - 1))
    name = data.draw(st.sampled_from(AuditEntry._fields))
    other: Any = getattr(entries[at], name)
    if isinstance(other, bytes):
        other = bytes([other[0] ^ data.draw(st.integers(1, 255))]) + other[1:]
    elif isinstance(other, int):
        other += data.draw(st.integers(1, 1_000))
    else:
        other += data.draw(st.sampled_from('x "\\é'))
    entries[at] = entries[at]._replace(**{name: other})
    assert first_bad(entries, noted) == at + 1


@given(CHAINS, st.data())
def test_any_removal_is_found(records: list[tuple[Record, int]], data: st.DataObject) -> None:
    entries = chain(records)
    noted = head_of(entries)
    at = data.draw(st.integers(0, len(entries) - 1))
    del entries[at]
    assert first_bad(entries, noted) == at + 1


@given(CHAINS, st.data())
def test_any_swap_is_found(records: list[tuple[Record, int]], data: st.DataObject) -> None:
    entries = chain(records)
    noted = head_of(entries)
    if len(entries) > 1:
        at = data.draw(st.integers(0, len(entries) - 2))
        after = data.draw(st.integers(at + 1, len(entries) - 1))
        entries[at], entries[after] = entries[after], entries[at]
        assert first_bad(entries, noted) == at + 1


@given(CHAINS, RECORDS, st.data())
def test_any_insertion_is_found(
    records: list[tuple[Record, int]], more: Record, data: st.DataObject
) -> None:
    entries = chain(records)
    noted = head_of(entries)
    at = data.draw(st.integers(0, len(entries)))
    before = head_of(entries[:at]) if at else NO_HEAD
    entries.insert(at, sealed(more, 1, before))  # even one that is made as a true one is
    if entries[: at + 1] != chain(records)[: at + 1]:
        assert first_bad(entries, noted) is not None


def test_a_walk_may_begin_anywhere() -> None:
    record = Record(Actor(ActorKind.KEY), Action.KEY_ISSUE, Target("key", "8hLWYrAX"))
    entries = chain([(record, number) for number in range(5)])
    assert walked(entries[2:], head_of(entries[:2])).head == head_of(entries)
    assert walked(entries[3:], head_of(entries[:2])).bad_seq == 3


def test_the_canonical_form_stays_what_it_is() -> None:
    """A hash that is computed otherwise one day would call every old log broken."""
    record = Record(
        Actor(ActorKind.PERSON, "zoë@acme.com", "u1", "192.0.2.7"),
        Action.USER_ROLE,
        Target("user", "u2"),
        changed({"role": "member"}, {"role": "admin"}),
    )
    entry = sealed(record, 1_790_000_000_000_000, NO_HEAD)
    assert entry.detail == '{"role":{"from":"member","to":"admin"}}'
    assert entry.hash == hash_of(entry)
    assert entry.hash.hex() == ("017c014bff910528b2f6fc02685636dfbd328a31b4b97ad780580dff897a3f7f")


@given(st.dictionaries(st.text(max_size=50), JSON | st.text(min_size=500), max_size=200))
def test_a_detail_is_json_within_bounds_whatever_it_is_made_of(detail: dict[str, Any]) -> None:
    text = detail_text(detail)
    assert 2 <= len(text) <= DETAIL_CHARS_MAX
    assert isinstance(json.loads(text), dict)
    text.encode()
    assert "\0" not in text


@pytest.mark.parametrize("text", ["", "[1]", "not json"])
def test_a_detail_that_is_no_object_is_shown_as_it_is(text: str) -> None:
    record = Record(Actor(ActorKind.SYSTEM), Action.EXPORT, Target("file"))
    assert sealed(record, 0, NO_HEAD)._replace(detail=text).data == {"text": text}
