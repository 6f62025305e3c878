"""An entry has what its call's records say, each in its own field."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain import usage as u
from tollkeeper.domain.calls import Held, Part, Profile, Settled
from tollkeeper.domain.ledger import TOKEN_FIELDS, LedgerEntry, entries_of

# Where a field of an entry has another name than where it comes from.
FROM_HELD = {"entry_id": "entry_id", "call_id": "call_id", "started_at_us": "started_at_us"}
FROM_PROFILE = ("org", "team", "user_id", "user_name", "key_id", "key_name", "end_customer")
FROM_PROFILE += ("session_id", "tool", "tool_version", "provider", "model_requested", "endpoint")
FROM_PROFILE += ("wire", "tags", "price_provider")
FROM_SETTLED = {"request_id_upstream": "request_id", "price_version": "price_version"}
FROM_SETTLED |= {name: name for name in ("duration_ms", "ttft_ms", "status", "outcome")}
FROM_SETTLED |= {"error_code": "error_code"}
FROM_PART = {"model_served": "model", "unpriced_reason": "reason", "basis": "basis"}
FROM_PART |= {name: name for name in ("cost_nanos", "list_cost_nanos", "saved_nanos", "price_key")}
FROM_PART |= {name: name for name in ("tier", "usage_raw", "tier_served", "batch", "speed", "geo")}
FROM_PART |= {name: name for name in ("stated", "provider_cost_nanos", "terms")}
FROM_PART |= {"provider_list_nanos": "provider_list_nanos"}


def filled(type_: type[Any], **given: Any) -> Any:
    """Make a tuple whose every field holds a text of its own, except some."""
    fields = type_._fields
    return type_(**{name: given.get(name, f"{type_.__name__}.{name}") for name in fields})


QUANTITIES = st.dictionaries(
    st.sampled_from([*u.TOKENS, *u.UNITS, "something_else"]), st.integers(1, 10**12), max_size=8
)


@given(QUANTITIES)
def test_every_field_of_an_entry_is_where_it_belongs(quantities: dict[str, int]) -> None:
    profile = filled(Profile, streamed=False)
    held = filled(Held, profile=profile, attempt=3)
    part = filled(Part, quantities=quantities)
    settled = filled(Settled, parts=[part, part], streamed=True)
    first, second = entries_of(held, settled)
    for field, name in FROM_HELD.items():
        assert getattr(first, field) == getattr(held, name)
    for field in FROM_PROFILE:
        assert getattr(first, field) == getattr(profile, field)
    for field, name in FROM_SETTLED.items():
        assert getattr(first, field) == getattr(settled, name)
    for field, name in FROM_PART.items():
        assert getattr(first, field) == getattr(part, name)
    for field, name in TOKEN_FIELDS:
        assert getattr(first, field) == quantities.get(name, 0)
    assert first.units == {name: quantities[name] for name in u.UNITS if name in quantities}
    assert (first.part, first.attempt, first.streamed, first.source) == (0, 3, True, "gateway")
    assert second == first._replace(entry_id=f"{held.entry_id}.1", part=1)
    told = {*FROM_HELD, *FROM_PROFILE, *FROM_SETTLED, *FROM_PART, "units", "part", "attempt"}
    assert first.model_asked == profile.model
    told |= {"streamed", "source", "model_asked", *(field for field, _ in TOKEN_FIELDS)}
    defaults = LedgerEntry._field_defaults
    assert all(getattr(first, name) == defaults[name] for name in set(first._fields) - told)


@given(st.lists(st.none() | st.integers(0, 10**12), min_size=1, max_size=4))
def test_what_budgets_count_for_an_unknown_cost_stands_once(costs: list[int | None]) -> None:
    profile = filled(Profile, streamed=False)
    held = filled(Held, profile=profile, attempt=1, hold_nanos=700)
    parts = [filled(Part, quantities={}, cost_nanos=cost) for cost in costs]
    entries = entries_of(held, filled(Settled, parts=parts, streamed=True))
    counted = sum(entry.held_nanos or 0 for entry in entries)
    assert counted == (700 if None in costs else 0)
    assert [entry.held_nanos is None for entry in entries] == [cost is not None for cost in costs]
