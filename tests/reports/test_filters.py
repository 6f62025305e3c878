"""Filters: what people write is what is asked, and nothing else can be asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.reports.dimensions import COLUMNS
from tollkeeper.reports.filters import (
    VALUES_MAX,
    Filter,
    filter_shape,
    filter_values,
    filters_text,
    parse_filters,
)
from tollkeeper.reports.questions import BadQuestion

FREE = sorted(COLUMNS.keys() - {"status", "streamed", "basis", "outcome"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        (" , ,", ()),
        ("team:core", (Filter("team", ("core",)),)),
        (" team : core ", (Filter("team", ("core",)),)),
        ("team:core,team:data,team:core", (Filter("team", ("core", "data")),)),
        ("model:llama3:8b", (Filter("model", ("llama3:8b",)),)),
        ("-outcome:ok", (Filter("outcome", ("ok",), negated=True),)),
        ("tag:feature=chat", (Filter("tag:feature", ("chat",)),)),
        ("tag:feature:chat", (Filter("tag:feature", ("chat",)),)),
        ("-tag:env=a=b:c", (Filter("tag:env", ("a=b:c",), negated=True),)),
        ("team:", (Filter("team", ("",)),)),
        ('team:"R&D, Berlin"', (Filter("team", ("R&D, Berlin",)),)),
        ('team:"say ""hi""",user:u1', (Filter("team", ('say "hi"',)), Filter("user", ("u1",)))),
        ('team:a"b', (Filter("team", ('a"b',)),)),
        ('team:""', (Filter("team", ("",)),)),
        (
            "team:core,-team:data",
            (Filter("team", ("core",)), Filter("team", ("data",), negated=True)),
        ),
        ("status:429", (Filter("status", ("429",)),)),
        ("streamed:true", (Filter("streamed", ("true",)),)),
    ],
)
def test_filters_are_read(text: str, expected: tuple[Filter, ...]) -> None:
    assert parse_filters(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("color:red", "is no dimension; one of team, user, key"),
        ("org:other", "is no dimension"),
        ("cost_usd:1", "is no dimension"),
        ("team", "terms are dimension:value"),
        (":core", "is no dimension"),
        ("--team:core", "is no dimension"),
        ("tag:=x", "a tag's key is"),
        ("tag:a b=x", "a tag's key is"),
        ("tag:feature", "terms are dimension:value"),
        ('team:"open', "no closing quote"),
        ('team:"a"b', "after a quoted value comes a comma"),
        ("status:ok", "status is a number"),
        ("status:1e3", "status is a number"),
        ("status:99999999999999999999", "status is a number"),
        ("status:٤٢٩", "status is a number"),
        ("streamed:maybe", "streamed is true or false"),
        ("basis:measuerd", "basis is one of provider_reported, measured"),
        ("outcome:fine", "outcome is one of ok"),
        ("team:" + "x" * 9_000, "at most 8000 characters"),
        (",".join(f"team:{number}" for number in range(VALUES_MAX + 1)), "at most 256 values"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_can(text: str, words: str) -> None:
    with pytest.raises(BadQuestion) as caught:
        parse_filters(text)
    assert caught.value.parameter == "filter"
    assert words in str(caught.value)
    assert len(str(caught.value)) < 500


values = st.text(st.characters(codec="utf-8"), max_size=12) | st.text(',": =-\\', max_size=6)
any_filter = st.builds(
    Filter,
    st.sampled_from(FREE) | st.from_regex(r"tag:[A-Za-z0-9_.-]{1,9}", fullmatch=True),
    st.lists(values, min_size=1, max_size=4, unique=True).map(tuple),
    st.booleans(),
)


@given(st.lists(any_filter, max_size=4, unique_by=lambda each: (each.dimension, each.negated)))
def test_what_is_written_is_read_back(filters: list[Filter]) -> None:
    assert parse_filters(filters_text(filters)) == tuple(filters)


@given(st.text(max_size=40) | st.text('-tag:em="", \\', max_size=25))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_filters(text)
    except BadQuestion:
        return
    assert parse_filters(filters_text(found)) == found


def test_numbers_of_values_share_shapes() -> None:
    shapes = {
        filter_shape(Filter("team", tuple(map(str, range(count))))).slots for count in range(1, 257)
    }
    assert shapes == {1, 2, 4, 8, 16, 32, 64, 128, 256}


def test_spare_slots_repeat_a_value() -> None:
    filters = (Filter("status", ("200", "429", "500")), Filter("streamed", ("TRUE",)))
    assert filter_values(filters) == {
        "filter_0_0": 200,
        "filter_0_1": 429,
        "filter_0_2": 500,
        "filter_0_3": 500,
        "filter_1_0": True,
    }
