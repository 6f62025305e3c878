"""SCIM's filters and paths: what is read, what fits, and that nothing breaks the reader."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.scim import Fault, ScimRefused
from tollkeeper.domain.scim_filters import (
    TEXT_CHARS_MAX,
    Attribute,
    Both,
    Compared,
    Either,
    Filter,
    Having,
    Not,
    Path,
    attributes_of,
    fits,
    read_filter,
    read_path,
)

EXTENSIONS = "urn:ietf:params:scim:schemas:extension"
BARBARA: dict[str, Any] = {
    "id": "2819c223-7f76-453a-919d-413861904646",
    "externalId": "701984",
    "userName": "bjensen@example.com",
    "name": {"formatted": "Barbara Jensen"},
    "emails": [
        {"value": "bjensen@example.com", "type": "work", "primary": True},
        {"value": "babs@jensen.org", "type": "home"},
    ],
    "active": True,
    "groups": [],
    "meta": {"created": "2010-01-23T04:56:22Z"},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('userName eq "bjensen@example.com"', True),
        ('userName Eq "BJensen@Example.com"', True),
        ('USERNAME eq "someone"', False),
        ('urn:ietf:params:scim:schemas:core:2.0:User:userName sw "B"', True),
        ('externalId eq "701984"', True),
        ('id eq "2819C223-7F76-453A-919D-413861904646"', False),  # ids are exact
        ("active eq true", True),
        ("active eq True", True),
        ('active eq "True"', True),
        ('active eq "False"', False),
        ("active eq false", False),
        ("active ne false", True),
        ("active gt false", False),
        ('name.formatted co "jensen"', True),
        ('name.familyName co "jensen"', False),
        ('emails eq "babs@jensen.org"', True),
        ('emails.type eq "home"', True),
        ('emails[type eq "work" and value co "@example.com"]', True),
        ('emails[type eq "home" and value co "@example.com"]', False),
        ('emails[type eq "home"] and emails[value co "@example.com"]', True),
        ('emails[type eq "work"].value eq "BJensen@example.com"', True),
        ('emails[type eq "home"].value eq "bjensen@example.com"', False),
        ("groups pr", False),
        ("title pr", False),
        ("name pr", True),
        ("title eq null", True),
        ("userName eq null", False),
        ('not (userName co "example")', False),
        ('active eq false or userName ew "com" and externalId pr', True),
        ('(active eq false or userName ew "com") and title pr', False),
        ('meta.created gt "2009-05-13T04:42:34Z"', True),
        ('meta.created le "2009-05-13T04:42:34Z"', False),
        ("userName eq 5", False),
        ('userName eq "b\\u006aensen@example.com"', True),
    ],
)
def test_a_filter_fits_what_it_says(text: str, expected: bool) -> None:
    assert fits(read_filter(text), BARBARA) is expected


def test_members_are_told_apart_by_case() -> None:
    group = {"members": [{"value": "Ab"}]}
    for text in ('members eq "{}"', 'members[value eq "{}"]', 'members.value eq "{}"'):
        assert fits(read_filter(text.format("Ab")), group)
        assert not fits(read_filter(text.format("AB")), group)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "userName", "userName eq", 'eq "x"', 'userName is "x"', "userName eq x"),
        *('userName eq "x', "userName eq 'x'", 'userName eq "x" and', 'and userName eq "x"'),
        *('(userName eq "x"', 'userName eq "x")', "not active eq true", "emails[]", "emails[type"),
        *(
            'emails[type eq "work"',
            "emails[type pr].value",
            '.a eq "x"',
            'a..b eq "x"',
            'a.b.c eq "x"',
            'a: eq "x"',
        ),
        *('userName eq "\\ud800"', 'userName eq "\\u0000"', 'userName eq "\\x"', "active eq 1e5"),
        *('userName eq "x";', "userName eq \N{LEFT DOUBLE QUOTATION MARK}x", "active eq 12345a"),
        *("(" * 100 + "active pr" + ")" * 100, "a" * (TEXT_CHARS_MAX + 1)),
    ],
)
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(ScimRefused) as refused:
        read_filter(text)
    assert refused.value.fault is Fault.FILTER


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("active", Path(Attribute("active"))),
        ("name.formatted", Path(Attribute("name", "formatted"))),
        (
            'members[value eq "7b"]',
            Path(Attribute("members"), Compared(Attribute("value"), "eq", "7b")),
        ),
        (
            'emails[type eq "work"].value',
            Path(Attribute("emails"), Compared(Attribute("type"), "eq", "work"), "value"),
        ),
        (
            f"{EXTENSIONS}:enterprise:2.0:User:department",
            Path(Attribute("department", "", f"{EXTENSIONS}:enterprise:2.0:user")),
        ),
    ],
)
def test_a_path_is_read(text: str, expected: Path) -> None:
    assert read_path(text) == expected


@pytest.mark.parametrize(
    "text", ["", '"x"', "a b", "members[", "members[value]", "a[b pr]c", "a[b pr].", "a.b[c pr"]
)
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ScimRefused) as refused:
        read_path(text)
    assert refused.value.fault is Fault.PATH


@given(st.text(max_size=60) | st.text(alphabet='ab.[]() "\\eqprndot:1', max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    for read in (read_filter, read_path):
        try:
            found = read(text)
        except ScimRefused:
            continue
        if not isinstance(found, Path):
            assert list(attributes_of(found))
            fits(found, BARBARA)


# --------------------------------------------------------------------- round trip

NAMES = st.sampled_from(["a", "emails", "value", "x-y_2", "active", "and", "eq", "$ref"])
ATTRIBUTES = st.builds(
    Attribute,
    NAMES,
    NAMES | st.just(""),
    st.sampled_from(["", "urn:ietf:params:scim:schemas:core:2.0:user"]),
)
VALUES = (
    st.text(max_size=12, alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
    | st.booleans()
    | st.none()
    | st.integers(-(10**17), 10**17)
)
COMPARED = st.builds(
    Compared,
    ATTRIBUTES,
    st.sampled_from(["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"]),
    VALUES,
) | st.builds(Compared, ATTRIBUTES, st.just("pr"), st.none())


def _joined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return (
        st.builds(Both, inner, inner)
        | st.builds(Either, inner, inner)
        | st.builds(Not, inner)
        | st.builds(Having, ATTRIBUTES, inner)
    )


FILTERS: st.SearchStrategy[Filter] = st.recursive(COMPARED, _joined, max_leaves=6)


def named(attribute: Attribute) -> str:
    urn = f"{attribute.urn}:" if attribute.urn else ""
    return urn + attribute.name + (f".{attribute.part}" if attribute.part else "")


def written(found: Filter) -> str:
    """Write a filter with every bracket that may be."""
    match found:
        case Both(left, right):
            return f"({written(left)}) and ({written(right)})"
        case Either(left, right):
            return f"({written(left)}) OR ({written(right)})"
        case Not(inner):
            return f"not({written(inner)})"
        case Having(attribute, inner):
            return f"{named(attribute)}[{written(inner)}]"
        case Compared(attribute, "pr", _):
            return f"{named(attribute)} pr"
        case Compared(attribute, operator, value):
            return f"{named(attribute)} {operator} {json.dumps(value)}"


@given(FILTERS)
def test_a_filter_that_was_written_is_read_as_it_was(found: Filter) -> None:
    text = written(found)
    if len(text) <= TEXT_CHARS_MAX:
        assert read_filter(text) == found
        fits(found, BARBARA)


@given(ATTRIBUTES.filter(lambda each: not each.part), FILTERS, NAMES | st.just(""))
def test_a_path_that_was_written_is_read_as_it_was(
    attribute: Attribute, where: Filter, part: str
) -> None:
    text = f"{named(attribute)}[{written(where)}]" + (f".{part}" if part else "")
    if len(text) <= TEXT_CHARS_MAX:
        assert read_path(text) == Path(attribute, where, part)
