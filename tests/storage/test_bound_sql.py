"""Slots become placeholders, and nothing else does."""

from __future__ import annotations

from tollkeeper.storage.bound_sql import bound_sql


def test_slots_become_placeholders_in_any_case_of_letters() -> None:
    sql = "SELECT TOLLKEEPER_BOUND_TEXT('org'), tollkeeper_bound_integer('change_1') + f('x')"
    found = bound_sql(sql, lambda name: f"${name}")
    assert found.text == "SELECT $org, $change_1 + f('x')"
    assert found.names == {"org", "change_1"}


def test_one_slot_may_stand_in_several_places() -> None:
    sql = "TOLLKEEPER_BOUND_MOMENT('start') < x AND TOLLKEEPER_BOUND_MOMENT('start') < y"
    found = bound_sql(sql, lambda name: f"%({name})s")
    assert found.text == "%(start)s < x AND %(start)s < y"
    assert found.names == {"start"}


def test_what_is_no_slot_stays() -> None:
    sql = "SELECT 'tollkeeper_bound_text', bound_text('org'), tollkeeper_bound_text(org)"
    assert bound_sql(sql, lambda name: f"${name}") == (sql, frozenset())
