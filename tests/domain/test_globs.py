"""Comparing globs: what is called covered must be covered, for every text there is."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollkeeper.domain.globs import covers, within

PARTS = ["a", "b", "c", "-", "*", "?", "[ab]", "[!a]", "[a-c]", "[", "]", "[]]", "[!]a]"]
GLOBS = st.lists(st.sampled_from(PARTS), max_size=6).map("".join)
TEXTS = st.text(alphabet="abc-[]!", max_size=7)


@pytest.mark.parametrize(
    ("wide", "narrow", "answer"),
    [
        ("*", "", True),
        ("*", "gpt-4.1", True),
        ("*", "*", True),
        ("*", "***?*", True),
        ("gpt-*", "gpt-4.1*", True),
        ("gpt-*", "gpt-4.1", True),
        ("gpt-*", "gpt", False),
        ("gpt-4.1", "gpt-*", False),
        ("gpt-?", "gpt-*", False),
        ("gpt-??", "gpt-4?", True),
        ("gpt-?", "gpt-[45]", True),
        ("gpt-[45]", "gpt-4", True),
        ("gpt-[45]", "gpt-6", False),
        ("gpt-[45]", "gpt-?", False),
        ("gpt-[45]", "gpt-[45]", True),
        ("*-mini", "gpt-*-mini", True),
        ("*-mini", "*-min?", False),
        ("*a*b*", "xaxxbx", True),
        ("*a*b*", "xbxxax", False),
        ("*a*b*", "*b*a*", False),
        ("*a*b*", "?*a?*b", True),
        ("gpt-4", "GPT-4", False),
        ("[", "[", True),
        ("", "", True),
        ("", "*", False),
    ],
)
def test_one_glob_covers_another(wide: str, narrow: str, answer: bool) -> None:
    assert covers(wide, narrow) is answer


def test_an_empty_list_is_everything() -> None:
    assert within((), ())
    assert within(("gpt-*",), ())
    assert not within((), ("gpt-*",))
    assert within((), ()) and within(("a", "b"), ("b", "a", "c"))
    assert not within(("a", "d"), ("a", "b", "c"))


@settings(max_examples=2_000, deadline=None)
@given(wide=GLOBS, narrow=GLOBS, text=TEXTS)
def test_what_is_covered_matches_nothing_more(wide: str, narrow: str, text: str) -> None:
    if covers(wide, narrow) and fnmatchcase(text, narrow):
        assert fnmatchcase(text, wide)


@settings(max_examples=500, deadline=None)
@given(glob=GLOBS)
def test_every_glob_covers_itself_and_is_covered_by_a_star(glob: str) -> None:
    assert covers(glob, glob)
    assert covers("*", glob)
    assert covers(f"*{glob}", glob)


@settings(max_examples=500, deadline=None)
@given(wide=GLOBS, text=st.text(alphabet="abc-", max_size=6))
def test_a_glob_covers_exactly_the_plain_names_that_it_matches(wide: str, text: str) -> None:
    assert covers(wide, text) is fnmatchcase(text, wide)


def test_long_patterns_are_compared_at_once() -> None:
    assert not covers("*a" * 50, "*b" * 50)
    assert covers("*a" * 50, "*a" * 50)
