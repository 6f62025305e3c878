"""Key tokens: what is built is read back; anything else is rejected without a look-up."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.access import KeyKind
from tollkeeper.domain.key_tokens import KeyToken, build, parse

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
KEY_IDS = st.text(BASE62, min_size=8, max_size=8)
SECRETS = st.text(BASE62, min_size=32, max_size=32)


@given(st.sampled_from(KeyKind), KEY_IDS, SECRETS)
def test_a_built_token_is_read_back(kind: KeyKind, key_id: str, secret: str) -> None:
    token = build(kind, key_id, secret)
    assert parse(token) == KeyToken(kind, key_id, secret)
    assert token.startswith("tk_admin_" if kind is KeyKind.ADMIN else "tk_live_")
    assert len(token.rpartition("_")[2]) == 32 + 6


@given(KEY_IDS, SECRETS, st.integers(0, 54), st.characters(codec="utf-8"))
def test_one_wrong_character_is_noticed(key_id: str, secret: str, at: int, other: str) -> None:
    token = build(KeyKind.VIRTUAL, key_id, secret)
    changed = token[:at] + other + token[at + 1 :]
    assert (parse(changed) is None) == (changed != token)


@given(KEY_IDS, SECRETS, st.integers(0, 53))
def test_two_swapped_characters_are_noticed(key_id: str, secret: str, at: int) -> None:
    token = build(KeyKind.VIRTUAL, key_id, secret)
    swapped = token[:at] + token[at + 1] + token[at] + token[at + 2 :]
    assert (parse(swapped) is None) == (swapped != token)


@given(st.text(max_size=80))
def test_text_is_no_token(text: str) -> None:
    assert parse(text) is None


def test_a_known_token_stays_valid() -> None:
    # The format is public: keys that were handed out must be readable for ever.
    token = "tk_live_" + "a" * 8 + "_" + "b" * 32 + "0lA508"
    assert build(KeyKind.VIRTUAL, "a" * 8, "b" * 32) == token
    assert parse(token) == KeyToken(KeyKind.VIRTUAL, "a" * 8, "b" * 32)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "tk_live_",
        "tk_live_aaaaaaaa_" + "b" * 38,
        "tk_live_aaaaaaaa_" + "b" * 32 + "0lA508 ",
        "tk_live_aaaaaaaa_" + "b" * 32 + "0lA508\n",
        " tk_live_aaaaaaaa_" + "b" * 32 + "0lA508",
        "TK_LIVE_aaaaaaaa_" + "b" * 32 + "0lA508",
        "tk_admin_aaaaaaaa_" + "b" * 32 + "0lA508",
        "tk_test_aaaaaaaa_" + "b" * 32 + "0lA508",
    ],
)
def test_near_misses_are_rejected(token: str) -> None:
    assert parse(token) is None


@pytest.mark.parametrize(
    ("key_id", "secret"),
    [("a" * 7, "b" * 32), ("a" * 8, "b" * 31), ("a" * 7 + "_", "b" * 32), ("a" * 8, "é" * 32)],
)
def test_parts_of_the_wrong_form_cannot_be_built(key_id: str, secret: str) -> None:
    with pytest.raises(ValueError, match="base62"):
        build(KeyKind.VIRTUAL, key_id, secret)


def test_the_secret_is_not_in_the_repr() -> None:
    assert "b" * 8 not in repr(KeyToken(KeyKind.VIRTUAL, "a" * 8, "b" * 32))
