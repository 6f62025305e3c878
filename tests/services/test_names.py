"""Checking names that people give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.errors import BadRequest
from tollkeeper.services import names


@given(text=st.text(st.characters(), max_size=120))
def test_a_name_is_refused_or_clean_for_good(text: str) -> None:
    try:
        name = names.clean_name(text, "the name")
    except BadRequest as refused:
        assert refused.message.startswith("the name")
        return
    assert 1 <= len(name) <= names.NAME_CHARS_MAX
    assert names.clean_name(name, "the name") == name
    assert name == name.strip()
    assert not any(character in name for character in "\0\n\r\x1b\u202e\u2028\ufeff")


def test_one_name_written_in_two_ways_is_one_name() -> None:
    assert names.clean_name("Cafe\u0301", "the name") == names.clean_name("Caf\u00e9", "the name")


@given(text=st.text(st.characters(), max_size=60) | st.emails())
def test_an_address_is_refused_or_clean_for_good(text: str) -> None:
    try:
        email = names.clean_email(text)
    except BadRequest:
        return
    assert names.clean_email(email) == email
    assert email == email.lower()
    assert email.count("@") == 1
    assert not any(character.isspace() for character in email)


@pytest.mark.parametrize("email", ["a@b", "alice+llm@acme.co.uk", "a.b-c_d@x-y.example"])
def test_ordinary_addresses_pass(email: str) -> None:
    assert names.clean_email(email) == email


def test_lists_keep_their_order_and_lose_repetitions() -> None:
    assert names.clean_globs([" b ", "a", "b"], "model") == ("b", "a")
    assert names.clean_tags({" feature ": " chat "}) == {"feature": "chat"}
