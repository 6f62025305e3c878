"""Which passwords are good enough."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.passwords import CHARS_MAX, CHARS_MIN, fault_of, normal

ABOUT = ("alice.liddell@wonder-works.com", "alice.liddell", "Alice Liddell", "core", "Wonder Works")


def code(password: str) -> str:
    fault = fault_of(password, ABOUT)
    return fault[0] if fault else ""


@pytest.mark.parametrize(
    "password",
    [
        *("password1234", "Password12345!", "P@ssw0rd2026", "passwordpassword", "qwertyuiop123"),
        *("123456789012", "0987654321098", "abcdefghijklm", "1q2w3e4r5t6y", "1qaz2wsx3edc"),
        *("letmein letmein", "Summer2025!!", "iloveyou12345", "admin@localhost", "tollkeeper2026"),
        *("aaaaaaaaaaaaa", "abababababab", "xkqzxkqzxkqz", "111122223333", "            "),
        *("alice.liddell@wonder-works.com", "AliceLiddell1", "liddell-alice", "wonderworks26"),
        *(
            "A1ice.Lidde11",
            "w0nder-w0rks!",
            "\uff30assword\uff11\uff12\uff13\uff14",
            "coreCOREcore",
        ),
    ],
)
def test_what_is_guessed_first_is_refused(password: str) -> None:
    assert code(password) == "password_common"


@pytest.mark.parametrize(
    "password",
    [
        *("correct horse battery staple", "tin lantern behind 7 hills", "hG7#kq!x92Lm"),
        *("wonder-Xk39vLq2", "alice fell down a rabbit hole", "grün-äpfel-über-tal"),
        *("x9$" * 5 + "mellow Q", "a" * 20 + "8 other signs!", "密码就是这样的很长很长的"),
    ],
)
def test_anything_else_will_do_whatever_it_is_made_of(password: str) -> None:
    assert code(password) == ""


def test_length_is_counted_in_characters() -> None:
    made = "kölnisch wa§er xyvq"
    assert code(made[: CHARS_MIN - 1]) == "password_short"
    assert code(made[:CHARS_MIN]) == ""
    long = "".join(chr(0x4E00 + 7 * number) for number in range(CHARS_MAX + 1))
    assert code(long) == "password_long"
    assert code(long[:CHARS_MAX]) == ""


@given(st.text(max_size=200))
def test_any_text_has_an_answer_and_the_same_however_it_is_composed(text: str) -> None:
    answer = code(text)
    assert answer in {"", "password_short", "password_long", "password_common"}
    assert answer == code(unicodedata.normalize("NFD", text))
    assert normal(normal(text)) == normal(text)
    if len(normal(text)) < CHARS_MIN:
        assert answer == "password_short"


@given(st.text(min_size=CHARS_MIN, max_size=40), st.sampled_from(ABOUT))
def test_no_fault_repeats_the_password(text: str, about: str) -> None:
    fault = fault_of(about + text, ABOUT)
    if fault is not None and text.strip():
        assert about + text not in fault[1]
