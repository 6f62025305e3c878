"""Settings files are changed without losing anything else that stands in them."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tollkeeper.cli.connect_edits import (
    CannotEdit,
    edit_json,
    edit_toml,
    edit_variables,
    edit_yaml,
    inner,
)

OURS = {"name": "Tollkeeper", "base_url": "http://gateway.test/v1", "http_headers": {"x-k": "v"}}
TABLE = ("model_providers", "tollkeeper")
CHANGED = {"model_provider": "tollkeeper"}

texts = st.text(st.characters(codec="utf-8"), max_size=12)
numbers = st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
leaves = st.none() | st.booleans() | numbers | texts
documents = st.dictionaries(
    texts,
    st.recursive(
        leaves,
        lambda inside: st.lists(inside, max_size=3) | st.dictionaries(texts, inside, max_size=3),
        max_leaves=8,
    ),
    max_size=5,
)


def set_env(content: dict[str, Any]) -> None:
    inner(content, "env")["OURS"] = "value"


@given(documents, st.sampled_from([None, 2, 4, "\t"]), st.booleans())
def test_any_json_keeps_its_other_settings(
    content: dict[str, Any], indent: int | str | None, escaped: bool
) -> None:
    content.pop("env", None)
    text = json.dumps(content, indent=indent, ensure_ascii=escaped)
    changed = edit_json(text, set_env)
    assert json.loads(changed) == {**content, "env": {"OURS": "value"}}
    assert list(json.loads(changed)) == [*content, "env"]
    assert edit_json(changed, set_env) == changed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{broken", "not plain JSON"),
        ('{"a": 1} // why', "comments"),
        ("[]", "no JSON object"),
        ('{"env": "text"}', "no object"),
        ('{"a": {"b": 1, "b": 2}}', "twice"),
        ('{"a": NaN}', "no number"),
        ('{"a": 1e999}', "too large"),
        ("[" * 100_000, "not plain JSON"),
    ],
)
def test_json_that_would_lose_something_is_refused(text: str, reason: str) -> None:
    with pytest.raises(CannotEdit, match=reason):
        edit_json(text, set_env)


def test_half_a_surrogate_pair_stays() -> None:
    assert json.loads(edit_json('{"a": "\\ud800"}', set_env))["a"] == "\ud800"


# ---------------------------------------------------------------------------------- TOML

names = st.sampled_from(["model", "model_provider", "a-b", '"quoted.name"', "'it s'", "tollkeeper"])
values = st.sampled_from(
    [
        '"text"',
        "'[model_providers.tollkeeper]'",
        '"""several\n[model_providers.tollkeeper]\nmodel_provider = 1\n"""',
        "'''\n# no comment\n'''",
        "[\n  1, # one\n  2,\n]",
        "[[1, 2], ['a']]",
        "{ a = 1, 'b' = [2] }",
        "1979-05-27T07:32:00Z",
        "-0.5e10",
        "nan",
        "inf",
        "0xff",
        "true",
    ]
)
headers = st.sampled_from(
    [
        "[other]",
        "[model_providers]",
        "[model_providers.openai]",
        "[ model_providers . tollkeeper ]",
        '["model_providers".tollkeeper.http_headers]',
        "[projects.'/home/me']",
        "[[profiles]]",
        "[profiles.inner]",
        "[model_providers.tollkeepers]",
    ]
)
lines = st.one_of(
    st.tuples(names, values).map(lambda pair: f"{pair[0]} = {pair[1]} # why"),
    st.tuples(names, values).map(lambda pair: f"model_providers.x.{pair[0]} = {pair[1]}"),
    headers,
    st.just(""),
    st.just("# [model_providers.tollkeeper]"),
)


def same(content: dict[str, Any]) -> str:
    """Give a form in which nan is equal to itself."""
    return json.dumps(content, sort_keys=True, default=repr)


@given(st.lists(lines, max_size=14), st.booleans(), st.booleans())
def test_any_toml_keeps_its_other_settings(found: list[str], windows: bool, ended: bool) -> None:
    text = ""
    for line in found:  # what makes it no TOML is left out
        longer = f"{text}{line}\n"
        try:
            tomllib.loads(longer)
        except tomllib.TOMLDecodeError:
            continue
        text = longer
    text = text.replace("\n", "\r\n") if windows else text
    text = text if ended else text.rstrip("\r\n")
    wanted = copy.deepcopy(tomllib.loads(text))
    wanted["model_provider"] = "tollkeeper"
    wanted.setdefault("model_providers", {})["tollkeeper"] = OURS
    changed = edit_toml(text, CHANGED, {TABLE: OURS})
    assert same(tomllib.loads(changed)) == same(wanted)
    assert edit_toml(changed, CHANGED, {TABLE: OURS}) == changed


def test_comments_and_order_stay() -> None:
    text = '# mine\nmodel = "x"\n\n[other] # here\na = 1\n\n# about b\n[b]\n'
    changed = edit_toml(text, CHANGED, {TABLE: OURS})
    assert changed == f'model_provider = "tollkeeper"\n{text}\n' + (
        '[model_providers.tollkeeper]\nname = "Tollkeeper"\n'
        'base_url = "http://gateway.test/v1"\nhttp_headers = { "x-k" = "v" }\n'
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = ", "not TOML"),
        ("a = 1\na = 2", "not TOML"),
        ("model_providers = 1", "no object"),
        ("model_providers = { other = { a = 1 } }", "by hand"),
    ],
)
def test_toml_that_cannot_be_changed_is_refused(text: str, reason: str) -> None:
    with pytest.raises(CannotEdit, match=reason):
        edit_toml(text, CHANGED, {TABLE: OURS})


# ---------------------------------------------------------------- variables, and YAML


@given(
    st.lists(
        st.sampled_from(
            [
                "OTHER=1",
                "export KEY=old",
                "KEY = 'older'",
                "# KEY=comment",
                'TEXT="several\nKEY=inside\nlines"',
                "",
                "KEYS=9",
            ]
        )
    )
)
def test_variables_keep_what_others_set(found: list[str]) -> None:
    changed = edit_variables("\n".join(found), {"KEY": "new", "URL": "http://x/v1"})
    others = [each for each in found if not re.match(r"(export )?KEY\b", each)]
    for each in others:
        assert changed.count(each) >= others.count(each)
    outside = changed.replace("KEY=inside", "")
    assert re.findall(r"^(?:export )?KEY ?= ?(.*)$", outside, re.MULTILINE) == ["new"]
    assert edit_variables(changed, {"KEY": "new", "URL": "http://x/v1"}) == changed


def test_a_quote_that_does_not_end_is_refused() -> None:
    with pytest.raises(CannotEdit, match="does not end"):
        edit_variables('A="x\nKEY=1\n', {"KEY": "new"})


@settings(max_examples=40)
@given(documents, st.booleans())
def test_any_yaml_keeps_its_other_settings(content: dict[str, Any], flow: bool) -> None:
    content = {f"n{name}": value for name, value in content.items()}
    text = yaml.safe_dump(content, default_flow_style=flow) if content else "# nothing\n"
    if flow and content:
        with pytest.raises(CannotEdit):
            edit_yaml(text, {"model": "openai/x"})
        return
    changed = edit_yaml(f"# mine\nmodel: old\n{text}", {"model": "openai/x"})
    assert yaml.safe_load(changed) == {**content, "model": "openai/x"}
    assert changed.startswith("# mine\n")
    assert edit_yaml(changed, {"model": "openai/x"}) == changed


@pytest.mark.parametrize("text", ["a: [", "- 1", "model: |\n  several\n  lines\n"])
def test_yaml_that_cannot_be_changed_is_refused(text: str) -> None:
    with pytest.raises(CannotEdit):
        edit_yaml(text, {"model": "openai/x"})
