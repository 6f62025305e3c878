"""Arbitrary ledger entries from hypothesis, for contracts and for recounts."""

from __future__ import annotations

from hypothesis import strategies as st

from ledger_entries import new_id
from tollkeeper.domain.ledger import TOKEN_FIELDS, Basis, LedgerEntry, Outcome

INT64_MAX = 2**63 - 1
FIRST_US = -2_000_000_000_000_000
LAST_US = 4_000_000_000_000_000
TOKENS_MAX = 2**58  # sixteen columns of this size still fit their sum

texts = st.text(max_size=12)
_AMOUNTS = ("cost_nanos", "list_cost_nanos", "saved_nanos")
tag_sets = st.dictionaries(texts, texts, max_size=3)
moneys = st.none() | st.integers(-(10**15), 10**15) | st.integers(-(10**25), 10**25)


@st.composite
def any_entry(draw: st.DrawFn) -> LedgerEntry:
    """An entry with anything in it that its types allow."""
    text_fields = ["call_id", "org"] + [
        name
        for name, default in LedgerEntry._field_defaults.items()
        if isinstance(default, str) and name not in {"outcome", "basis"}
    ]
    fields: dict[str, object] = {name: draw(texts) for name in text_fields}
    fields |= {
        name: draw(st.sampled_from([0, 1, 17, TOKENS_MAX]) | st.integers(0, 10**6))
        for name, _ in TOKEN_FIELDS
    }
    return LedgerEntry(
        **fields,  # type: ignore[arg-type]
        entry_id=new_id(),
        started_at_us=draw(st.integers(FIRST_US, LAST_US)),
        attempt=draw(st.integers(1, 3)),
        part=draw(st.integers(0, 2)),
        duration_ms=draw(st.integers(0, INT64_MAX)),
        ttft_ms=draw(st.none() | st.integers(0, 10**6)),
        streamed=draw(st.booleans()),
        status=draw(st.integers(0, 599)),
        outcome=draw(st.sampled_from(Outcome)),
        basis=draw(st.sampled_from(Basis)),
        units=draw(st.dictionaries(texts, st.integers(0, INT64_MAX), max_size=2)),
        cost_nanos=draw(moneys),
        list_cost_nanos=draw(moneys),
        saved_nanos=draw(moneys),
        tags=draw(tag_sets),
        batch=draw(st.booleans()),
        stated=draw(st.booleans()),
        provider_cost_nanos=draw(moneys),
        revision=draw(st.integers(0, 3)),
        sign=draw(st.sampled_from([1, -1])),
        corrected_at_us=draw(st.none() | st.integers(FIRST_US, LAST_US)),
        repeats=draw(st.integers(0, 10**6)),
        held_nanos=draw(moneys),
    )


@st.composite
def plausible_entry(draw: st.DrawFn, moments: st.SearchStrategy[int]) -> LedgerEntry:
    """An entry as a small company makes them: few values of each dimension, so groups form."""
    user = draw(st.sampled_from(["u1", "u2", "u3", ""]))
    served = draw(st.sampled_from(["gpt-4o", "claude", ""]))
    corrected = draw(st.sampled_from(["", "", "", "", "earlier"]))
    return LedgerEntry(
        entry_id=new_id(),
        call_id=new_id(),
        started_at_us=draw(moments),
        org="",
        attempt=draw(st.integers(1, 2)),
        part=draw(st.sampled_from([0, 0, 0, 1])),
        corrects=corrected,
        duration_ms=draw(st.integers(0, 50)),
        ttft_ms=draw(st.none() | st.integers(0, 20)),
        team=draw(st.sampled_from(["core", 'r&d, "x"', ""])),
        user_id=user,
        user_name=user and draw(st.sampled_from([f"{user}@acme.com", f"{user}@old.com"])),
        key_id=draw(st.sampled_from(["k1", "k2"])),
        session_id=draw(st.sampled_from(["s1", "s2", ""])),
        end_customer=draw(st.sampled_from(["c1", ""])),
        tool=draw(st.sampled_from(["claude-code", ""])),
        provider=draw(st.sampled_from(["openai", "anthropic"])),
        model_requested="fast",
        model_served=served,
        streamed=draw(st.booleans()),
        status=draw(st.sampled_from([200, 429, 500])),
        outcome=draw(st.sampled_from(Outcome)),
        basis=draw(st.sampled_from(Basis)),
        input_tokens=draw(st.integers(0, 1000)),
        cache_read_tokens=draw(st.sampled_from([0, 2**62])),
        output_tokens=draw(st.integers(0, 1000)),
        reasoning_tokens=draw(st.sampled_from([0, 5])),
        cost_nanos=draw(st.none() | st.integers(-(10**6), 10**12)),
        list_cost_nanos=draw(st.none() | st.integers(0, 10**12)),
        saved_nanos=draw(st.none() | st.integers(0, 10**9)),
        tags=draw(
            st.dictionaries(
                st.sampled_from(["feature", "Ümlaut'"]), st.sampled_from(["chat", ""]), max_size=2
            )
        ),
        repeats=draw(st.sampled_from([0, 0, 0, 998])),
    )


@st.composite
def corrected_entries(draw: st.DrawFn, moments: st.SearchStrategy[int]) -> list[LedgerEntry]:
    """Plausible entries, some of which were taken back and booked anew, up to three times."""
    entries = draw(st.lists(plausible_entry(moments), max_size=20))
    for entry in [each for each in entries if not each.corrects]:
        standing = entry
        for revision in range(1, draw(st.sampled_from([1, 1, 2, 4]))):
            pair = standing._replace(
                corrects=entry.entry_id, revision=revision, corrected_at_us=LAST_US
            )
            back = pair._replace(
                entry_id=new_id(),
                sign=-1,
                **{name: -getattr(pair, name) for name, _ in TOKEN_FIELDS},
                **{name: taken_back(getattr(pair, name)) for name in _AMOUNTS},
            )
            standing = pair._replace(
                entry_id=new_id(),
                sign=1,
                basis=draw(st.sampled_from(Basis)),
                cost_nanos=draw(  # what is known once stays known
                    st.integers(0, 10**9)
                    | (st.none() if standing.cost_nanos is None else st.nothing())
                ),
            )
            entries += [back, standing]
    return entries


def taken_back(nanos: int | None) -> int | None:
    """Give an amount that takes another back; what is not known stays so."""
    return None if nanos is None else -nanos
