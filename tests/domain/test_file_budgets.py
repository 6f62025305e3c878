"""What becomes of budgets when the file that they stand in changes."""

from __future__ import annotations

from budget_desks import DOLLAR, NOW, budget
from tollkeeper.domain.budget_windows import LATEST_US, WindowKind, WindowRule
from tollkeeper.domain.budget_words import is_of_file
from tollkeeper.domain.budgets import KNOWN_AFTER_US, Budget, Mode
from tollkeeper.domain.file_budgets import file_changes


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
