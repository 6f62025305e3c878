"""What becomes of budgets when the file that they stand in changes."""

from __future__ import annotations

from budget_desks import DOLLAR, NOW, SECOND, budget
from tollkeeper.domain.budget_raises import Overdraft
from tollkeeper.domain.budget_windows import LATEST_US, WindowKind, WindowRule
from tollkeeper.domain.budget_words import is_of_file
from tollkeeper.domain.budgets import KNOWN_AFTER_US, Budget, Mode
from tollkeeper.domain.file_budgets import FILE, file_changes, file_overdrafts

DAY = 86_400 * SECOND


def wanted(name: str = "cap", limit: int = DOLLAR, **fields: object) -> Budget:
    return budget("", limit, name=name, **fields)


def applied(kept: list[Budget], *these: Budget, at_us: int = NOW) -> list[Budget]:
    """Give all budgets after the file says these."""
    changed = {it.budget_id: it for it in file_changes(kept, these, at_us)}
    return list(({it.budget_id: it for it in kept} | changed).values())


def test_a_budget_is_made_once_and_counts_when_everybody_knows_it() -> None:
    (made,) = applied([], wanted())
    assert is_of_file(made.budget_id)
    assert len(made.budget_id) <= 36
    assert (made.since_us, made.until_us, made.version) == (NOW + KNOWN_AFTER_US, LATEST_US, 1)
    assert file_changes([made], [wanted()], NOW + 1) == []


def test_what_may_change_changes_and_the_budget_stays_the_same() -> None:
    (made,) = applied([], wanted())
    (changed,) = applied([made], wanted(limit=2 * DOLLAR, mode=Mode.OBSERVE))
    assert changed == made._replace(limit=2 * DOLLAR, mode=Mode.OBSERVE, version=2)


def test_one_that_counts_something_else_is_another_one() -> None:
    (made,) = applied([], wanted())
    daily = WindowRule(WindowKind.DAY)
    old, new = applied([made], wanted(window=daily))
    assert old == made._replace(until_us=NOW + KNOWN_AFTER_US, version=2)
    assert (new.window, new.until_us, new.version) == (daily, LATEST_US, 1)
    assert new.budget_id != old.budget_id


def test_one_that_is_taken_out_ends_and_begins_anew_when_it_comes_back() -> None:
    (made,) = applied([], wanted())
    (ended,) = applied([made])
    assert ended.until_us == NOW + KNOWN_AFTER_US
    later = NOW + 10 * KNOWN_AFTER_US
    assert file_changes([ended], [], later) == []
    old, new = applied([ended], wanted(), at_us=later)
    assert old == ended
    assert new.budget_id != old.budget_id
    assert new.since_us == later + KNOWN_AFTER_US
    assert file_changes([old, new], [wanted()], later) == []


def test_budgets_that_people_made_are_left_alone() -> None:
    assert file_changes([budget("0198-by-hand")], [], NOW) == []


def test_one_begins_and_ends_when_the_file_says_so() -> None:
    first, last = NOW + DAY, NOW + 2 * DAY
    season = wanted(since_us=first, until_us=last)
    (made,) = applied([], season)
    assert (made.since_us, made.until_us) == (first, last)
    for at_us in (NOW + 1, first, last - 1, last, last + DAY):
        assert file_changes([made], [season], at_us) == []
    (longer,) = applied([made], season._replace(until_us=last + DAY), at_us=first)
    assert longer == made._replace(until_us=last + DAY, version=2)
    (cut,) = applied([made], season._replace(until_us=NOW), at_us=first)
    assert cut == made._replace(until_us=first + KNOWN_AFTER_US, version=2)
    assert file_changes([cut], [season._replace(until_us=NOW)], last) == []
    (gone,) = applied([made], at_us=first)
    assert gone.until_us == first + KNOWN_AFTER_US
    assert file_changes([made], [], last + DAY) == []


def test_one_that_was_over_begins_anew_when_its_end_is_put_off() -> None:
    season = wanted(until_us=NOW + DAY)
    (made,) = applied([], season)
    later = NOW + 2 * DAY
    old, new = applied([made], season._replace(until_us=NOW + 3 * DAY), at_us=later)
    assert old == made
    assert (new.since_us, new.until_us) == (later + KNOWN_AFTER_US, NOW + 3 * DAY)
    assert file_changes([], [season], later) == []  # it is over already


def test_one_that_begins_at_another_time_is_another_one() -> None:
    (made,) = applied([], wanted(since_us=NOW + DAY))
    old, new = applied([made], wanted(since_us=NOW + 2 * DAY))
    assert old.until_us == old.since_us == NOW + DAY
    assert new.since_us == NOW + 2 * DAY


def test_the_file_says_what_may_be_overdrawn_and_takes_back_only_that() -> None:
    (made,) = applied([], wanted())
    ten = Overdraft("", 0, FILE, part_bp=1_000)
    (said,) = file_overdrafts({"cap": ten}, NOW, [made, budget("0198-by-hand")], [])
    assert said == Overdraft(made.budget_id, NOW, FILE, part_bp=1_000)
    assert file_overdrafts({"cap": ten}, NOW + 1, [made], [said]) == []
    (back,) = file_overdrafts({}, NOW, [made], [said])
    assert (back.part_bp, back.amount, back.set_at_us) == (0, 0, NOW + 1)
    assert file_overdrafts({}, NOW + 9, [made], [back]) == []
    by_hand = said._replace(set_by="ada@acme.com")
    assert file_overdrafts({}, NOW, [made], [by_hand]) == []
    (over,) = file_overdrafts({"cap": ten}, NOW, [made], [by_hand])
    assert (over.set_by, over.part_bp) == (FILE, 1_000)
