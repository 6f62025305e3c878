"""Refusals that repeat: none is lost from the counts, and few are written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome, refusal_count, request_count
from tollkeeper.services.refusal_memory import TOGETHER_US, RefusalMemory

NOW = 1_790_000_000_000_000
SECOND = 1_000_000


def refusal(at_us: int, key_id: str = "k1", code: str = "budget_exceeded") -> LedgerEntry:
    return LedgerEntry(
        entry_id=f"{key_id}-{at_us}",
        call_id=f"{key_id}-{at_us}",
        started_at_us=at_us,
        org="Acme",
        key_id=key_id,
        outcome=Outcome.REFUSED,
        error_code=code,
        basis=Basis.FREE,
        cost_nanos=0,
        list_cost_nanos=0,
    )


def test_the_first_is_written_and_the_repeats_are_counted() -> None:
    memory = RefusalMemory()
    assert memory.refused(refusal(NOW), "b1") == (refusal(NOW),)
    for number in range(1, 1_000):
        assert memory.refused(refusal(NOW + number), "b1") == ()
    assert memory.due(NOW + TOGETHER_US - 1) == []
    (written,) = memory.due(NOW + TOGETHER_US)
    assert written == refusal(NOW + 999)._replace(repeats=998)
    assert refusal_count(written) == 999
    assert request_count(written) == 0
    assert memory.repeated == {"budget_exceeded": 999}


def test_a_storm_that_goes_on_is_one_entry_for_each_stretch() -> None:
    memory, written = RefusalMemory(), []
    for number in range(100 * 60):  # a hundred a second for a minute
        at_us = NOW + number * SECOND // 100
        written += memory.due(at_us)
        written += memory.refused(refusal(at_us), "b1")
    written += memory.all()
    assert len(written) == 7
    assert sum(refusal_count(entry) for entry in written) == 6_000


def test_who_comes_back_later_is_written_again() -> None:
    memory = RefusalMemory()
    memory.refused(refusal(NOW), "b1")
    assert memory.due(NOW + TOGETHER_US) == []
    later = refusal(NOW + 2 * TOGETHER_US)
    assert memory.refused(later, "b1") == (later,)


def test_other_keys_reasons_and_budgets_are_no_repeats() -> None:
    memory = RefusalMemory()
    first = [
        memory.refused(refusal(NOW), "b1"),
        memory.refused(refusal(NOW, "k2"), "b1"),
        memory.refused(refusal(NOW, code="budget_unpriced"), "b1"),
        memory.refused(refusal(NOW), "b2"),
    ]
    assert all(len(entries) == 1 for entries in first)
    assert memory.repeated == {}


def test_what_is_remembered_is_bounded_and_pushed_out_with_its_count() -> None:
    memory = RefusalMemory(kinds_max=2)
    for at_us in (NOW, NOW + 1, NOW + 2):
        memory.refused(refusal(at_us), "b1")
    memory.refused(refusal(NOW + 3), "b2")
    pushed_out, first = memory.refused(refusal(NOW + 4), "b3")
    assert (pushed_out.entry_id, pushed_out.repeats) == (f"k1-{NOW + 2}", 1)
    assert first == refusal(NOW + 4)


def test_a_clock_that_is_put_back_holds_nothing_up() -> None:
    memory = RefusalMemory()
    memory.refused(refusal(NOW), "b1")
    memory.refused(refusal(NOW + 1), "b1")
    assert len(memory.due(NOW - 3_600 * SECOND)) == 1


@given(
    st.lists(
        st.tuples(
            st.integers(0, 30 * SECOND),
            st.sampled_from(["k1", "k2", "k3"]),
            st.sampled_from(["b1", "b2"]),
            st.booleans(),
        ),
        max_size=60,
    ),
    st.integers(1, 4),
)
def test_every_refusal_is_counted_exactly_once(
    steps: list[tuple[int, str, str, bool]], kinds_max: int
) -> None:
    memory, now_us, written = RefusalMemory(kinds_max=kinds_max), NOW, []
    for number, (wait_us, key_id, about, looks) in enumerate(steps):
        now_us += wait_us
        entry = refusal(now_us, key_id)._replace(entry_id=f"call-{number}")
        written += memory.refused(entry, about)
        if looks:
            written += memory.due(now_us)
    written += memory.all()
    assert sum(refusal_count(entry) for entry in written) == len(steps)
    assert len({entry.entry_id for entry in written}) == len(written)
    assert memory.all() == []
