"""Control fields: read as every JSON reader reads them, or refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.errors import BadRequest
from tollkeeper.domain.routing import Dialect
from tollkeeper.wire import controls as remembering
from tollkeeper.wire.controls import Controls, form_controls, read_controls
from tollkeeper.wire.endpoints import CHAT, MESSAGES, RESPONSES, Endpoint, match

COMPLETIONS = Endpoint("completions", Dialect.OPENAI)
GEMINI = Endpoint("generateContent", Dialect.GEMINI)


def chat(**body: Any) -> Controls:
    return read_controls(json.dumps({"model": "m", **body}).encode(), CHAT)


def refused(body: bytes, endpoint: Endpoint = CHAT) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        read_controls(body, endpoint)
    return caught.value


def test_a_chat_request() -> None:
    found = chat(
        messages=[{"role": "user", "content": '"model":"other"'}],
        stream=True,
        stream_options={"include_usage": True},
        max_tokens=100,
        max_completion_tokens=200,
        n=3,
        service_tier="flex",
        user="customer-7",
        prompt_cache_key="cache",
    )
    assert found == Controls(
        model="m",
        stream=True,
        asks_for_usage=True,
        has_stream_options=True,
        max_output_tokens=200,
        choices=3,
        service_tier="flex",
        user="customer-7",
        end_customer="customer-7",
        prompt_cache_key="cache",
    )


def test_an_anthropic_request() -> None:
    body = {"model": "claude-x", "max_tokens": 9, "speed": "fast", "inference_geo": "us"}
    found = read_controls(json.dumps(body).encode(), MESSAGES)
    assert found == Controls(
        model="claude-x", max_output_tokens=9, speed="fast", inference_geo="us"
    )


def test_a_responses_request() -> None:
    body = {"model": "gpt-x", "input": "hi", "background": True, "max_output_tokens": 5}
    found = read_controls(json.dumps(body).encode(), RESPONSES)
    assert (found.background, found.max_output_tokens) == (True, 5)


def test_the_field_that_asks_for_more_counts() -> None:
    assert chat(n=2, best_of=5).choices == 5
    assert chat(max_tokens=9, max_output_tokens=4).max_output_tokens == 9


def test_null_means_absent_where_apis_say_so() -> None:
    found = chat(stream=None, stream_options=None, n=None, service_tier=None, user=None)
    assert found == Controls(model="m")
    assert chat(max_tokens=None, max_completion_tokens=5).max_output_tokens == 5
    assert chat(model=None) == Controls()  # the client of Azure says so, its path has the model


@pytest.mark.parametrize(
    ("user_id", "session", "customer"),
    [
        (json.dumps({"device_id": "d", "account_uuid": "", "session_id": "s-1"}), "s-1", ""),
        (
            f"user_{'0' * 64}_account_{'1' * 8}_session_cb4292ba-b42e-45be-b457-f14ea50f5a95",
            "cb4292ba-b42e-45be-b457-f14ea50f5a95",
            "",
        ),
        (
            "session_7058d830-935c-42ed-9859-3c7257feb385",
            "session_7058d830-935c-42ed-9859-3c7257feb385",
            "",
        ),
        ("customer-7", "", "customer-7"),
        ("{not json", "", "{not json"),
    ],
)
def test_agents_put_sessions_where_others_put_customers(
    user_id: str, session: str, customer: str
) -> None:
    found = chat(metadata={"user_id": user_id})
    assert (found.session_id, found.end_customer) == (session, customer)


def test_whom_a_call_is_for_follows_litellms_order() -> None:
    everything: dict[str, Any] = {
        "user": "a",
        "litellm_metadata": {"user": "b"},
        "metadata": {"user_id": "c"},
        "safety_identifier": "d",
    }
    for expected in ("a", "b", "c", "d"):
        assert chat(**everything).end_customer == expected
        del everything[next(iter(everything))]
    assert chat(user="line\nbreak").end_customer == ""
    assert chat(user="x" * 300).end_customer == ""


def test_tags_are_handed_over_as_they_stand() -> None:
    found = chat(tags=["a:b"], metadata={"tags": {"c": "d"}}, litellm_metadata={"tags": []})
    assert found.tags == (b'["a:b"]', b'{"c": "d"}', b"[]")


def test_metadata_that_is_no_object_steers_nothing() -> None:
    assert chat(metadata="x", litellm_metadata=[1]) == Controls(model="m")
    assert chat(metadata={"user_id": 5, "tags": None}).end_customer == ""


# ------------------------------------------------------------------------ Gemini


def test_a_gemini_request_in_either_spelling() -> None:
    for config, limit, count in (
        ("generationConfig", "maxOutputTokens", "candidateCount"),
        ("generation_config", "max_output_tokens", "candidate_count"),
    ):
        body = {"contents": [], config: {limit: 7, count: 2, "temperature": 1}}
        found = read_controls(json.dumps(body).encode(), GEMINI)
        assert (found.max_output_tokens, found.choices) == (7, 2)


def test_a_code_assist_request_is_read_through_its_wrapping() -> None:
    body = {
        "model": "gemini-x",
        "project": "p",
        "request": {
            "contents": [],
            "generationConfig": {"maxOutputTokens": 5},
            "session_id": "s-1",
        },
    }
    found = read_controls(json.dumps(body).encode(), GEMINI)
    assert (found.model, found.max_output_tokens, found.session_id) == ("gemini-x", 5, "s-1")


def test_the_model_of_a_gemini_request_is_the_one_in_the_path() -> None:
    assert read_controls(b'{"model":"models/other","content":{}}', GEMINI).model == ""


@pytest.mark.parametrize(
    "body",
    [
        b'{"generationConfig":{},"generation_config":{}}',
        b'{"GenerationConfig":{}}',
        b'{"generationConfig":{"maxOutputTokens":1,"max_output_tokens":2}}',
        b'{"generationConfig":{"maxOutputTokens":1,"maxOutputTokens":2}}',
        b'{"generationConfig":{"candidateCount":"2"}}',
        b'{"generationConfig":{"maxOutputTokens":0}}',
        b'{"generationConfig":[]}',
        b'{"request":[]}',
        b'{"request":{"generationConfig":{"MaxOutputTokens":1}}}',
    ],
)
def test_ambiguous_gemini_requests_are_refused(body: bytes) -> None:
    refused(body, GEMINI)


# ------------------------------------------------------------------------ M12: said twice

DOUBLES = (
    b'{"model":"a","model":"b"}',
    b'{"model": "a", "model": "b"}',
    b'{ "model":"a" ,\n"x":1,\t"model":"a" }',
    b'{"model":"a","Model":"b"}',
    b'{"model":"a","MODEL":"b"}',
    b'{"Model":"b"}',
    b'{"model":"a","mod\\u0065l":"b"}',
    b'{"mod\\u0065l":"a","model":"b"}',
    b'{"\\u006dodel":"a","m\\u006fdel":"b"}',
    b'{"model":"a","stream":true,"stream":false}',
    b'{"model":"a","max_tokens":1,"max_tokens":100000}',
    b'{"model":"a","n":1,"n":9}',
    b'{"model":"a","N":9}',
    b'{"model":"a","Max_Tokens":9}',
    b'{"model":"a","maxTokens":9}',
    '{"model":"a","\u017ftream":true}'.encode(),
    b'{"model":"a","\\u017ftream":true}',
    b'{"model":"a","stream_options":{"include_usage":true,"include_usage":false}}',
    b'{"model":"a","stream_options":{"Include_Usage":true}}',
    b'{"model":"a","metadata":{"tags":[],"tags":[]}}',
    b'{"a":1,"a":1}',
    b'{"a":{"b":1},"model":"x","a":{}}',
    # As long as a text with blanks and without the second key would be.
    b'{"model":"a","b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"a":1,"a":2}',
    b'{"n":1,"n":12}',
    b'{"n":12,"n":1}',
)


@pytest.mark.parametrize("body", DOUBLES)
def test_what_is_said_twice_is_refused(body: bytes) -> None:
    assert refused(body).code in {"field_repeated", "field_ambiguous"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","messages":[{"model":"x","Model":"y","content":{"n":1,"n":2}}]}',
        b'{"model":"a","tools":[{"properties":{"stream":{},"Stream":{}}}]}',
        b'{"model":"a","response_model":"x","modelx":1,"streaming":2,"nn":1}',
    ],
)
def test_the_same_words_deeper_down_are_content(body: bytes) -> None:
    assert read_controls(body, CHAT).model == "a"


NAMES = st.sampled_from(
    ["model", "Model", "stream", "n", "max_tokens", "messages", "a", "b", "é", 'q"', "\u017f", ""]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
BLANKS = st.text(" \t\n\r", max_size=2)


@st.composite
def object_texts(draw: st.DrawFn) -> tuple[str, list[str]]:
    """Write an object by hand, in every way that JSON allows, and list its keys."""
    members, keys = [], []
    for name in draw(st.lists(NAMES, max_size=6)):
        key = json.dumps(name, ensure_ascii=draw(st.booleans()))
        if name and draw(st.booleans()) and name[0].isalpha():
            key = f'"\\u{ord(name[0]):04x}{json.dumps(name[1:], ensure_ascii=True)[1:]}'
        value: Any = {"model": "m", "stream": True, "n": 2, "max_tokens": 5}.get(name)
        value = draw(VALUES) if value is None else value
        separators = draw(st.sampled_from([(",", ":"), (", ", ": ")]))
        text = json.dumps(value, separators=separators)
        before, between, after, behind = (draw(BLANKS) for _ in range(4))
        members.append(f"{before}{key}{between}:{after}{text}{behind}")
        keys.append(name)
    start, end = draw(BLANKS), draw(BLANKS)
    return f"{start}{{{','.join(members)}}}{end}", keys


@given(object_texts())
def test_reading_agrees_with_a_full_reader(case: tuple[str, list[str]]) -> None:
    text, keys = case
    ambiguous = len(set(keys)) < len(keys) or "Model" in keys
    try:
        found = read_controls(text.encode(), CHAT)
    except BadRequest:
        assert ambiguous
        return
    assert not ambiguous
    whole = json.loads(text)
    assert found.model == whole.get("model", "")
    assert found.stream == whole.get("stream", False)
    assert found.choices == whole.get("n", 1)
    assert found.max_output_tokens == whole.get("max_tokens")


# ------------------------------------------------------------------------ M13: wrong types


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", ["a"]),
        ("model", {"id": "a"}),
        ("model", 5),
        ("model", True),
        ("stream", "false"),
        ("stream", 1),
        ("stream", []),
        ("n", "5"),
        ("n", 0),
        ("n", -1),
        ("n", 1.5),
        ("n", 10**9),
        ("best_of", 10**9),
        ("max_tokens", -1),
        ("max_tokens", 0),
        ("max_tokens", 1.0),
        ("max_tokens", "5"),
        ("max_tokens", True),
        ("max_tokens", 10**15),
        ("max_completion_tokens", -1),
        ("max_output_tokens", 0.5),
        ("service_tier", 5),
        ("service_tier", ["flex"]),
        ("stream_options", True),
        ("stream_options", []),
        ("stream_options", "x"),
        ("background", "true"),
        ("user", 7),
        ("prompt_cache_key", {}),
        ("user", "x" * 5_000),
    ],
)
def test_a_wrong_type_is_refused_by_name(field: str, value: Any) -> None:
    body = {"model": "m"} | {field: value}
    for text in (json.dumps(body), json.dumps(body, separators=(",", ":"))):
        error = refused(text.encode())
        assert error.code == "field_invalid"
        assert repr(field) in error.message


@pytest.mark.parametrize("value", [b"1e3", b"1E2", b"01", b"1.", b"+1", b"0x10", b"NaN", b"1_0"])
def test_a_number_in_another_notation_is_refused(value: bytes) -> None:
    refused(b'{"model":"m","max_tokens":' + value + b"}")


def test_a_completion_may_ask_for_no_output() -> None:
    body = b'{"model":"m","max_tokens":0}'
    assert read_controls(body, COMPLETIONS).max_output_tokens == 0
    refused(body, CHAT)


@pytest.mark.parametrize(
    "model",
    [
        " gpt",
        "gpt ",
        "gpt\u00a0",
        "\u3000gpt",
        "g\npt",
        "g\rpt",
        "g\tpt",
        "g\0pt",
        "g\x7fpt",
        "g\u0085pt",
        "g\u200bpt",
        "g\u202ept",
        "g\u2028pt",
        "g\ufeffpt",
        "g\ud800pt",
        "g" * 257,
    ],
)
def test_a_model_name_hides_nothing(model: str) -> None:
    error = refused(json.dumps({"model": model}).encode())
    assert error.code in {"model_invalid", "body_invalid"}
    if "\ud800" not in model:
        refused(json.dumps({"model": model}, ensure_ascii=False).encode())


@pytest.mark.parametrize("model", ["GPT-4", "\uff47pt-4", "gpt\u20114", "claude 3", "模型"])
def test_model_names_are_kept_exactly(model: str) -> None:
    # No folding and no normal form: a look-alike must never match a list of allowed models.
    assert chat(model=model).model == model


@pytest.mark.parametrize(
    "field", ["api_base", "base_url", "api_key", "proxy", "aws_access_key_id", "organization"]
)
def test_no_request_chooses_where_it_goes(field: str) -> None:
    error = refused(json.dumps({"model": "m", field: "https://evil.example"}).encode())
    assert error.code == "field_not_allowed"
    assert "evil" not in error.message


# ------------------------------------------------------------------------ M11: no JSON object


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"[]",
        b"null",
        b'"x"',
        b"{}{}",
        b'{"model":"a"}{"model":"b"}',
        b'{"model":"a"} x',
        b'\xef\xbb\xbf{"model":"a"}',
        '{"model":"a"}'.encode("utf-16"),
        '{"model":"a"}'.encode("utf-32-le"),
        b'{"model":"\xff"}',
        b'{"\xff":"a"}',
        b'{"model":"\\ud800"}',
        b'{"messages":"\\udc00\\ud800 text"}',
        b'{"model":"a",}',
        b'{"model":a}',
        b"{'model':'a'}",
        b'{"model":"a" /* c */}',
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"a":' + b"[" * 100_000,
        b'{"n":' + b"1" * 10_000_000 + b"}",
        b'{"model":' + b"1" * 10_000_000 + b"}",
        b"{" + b",".join(b'"k%d":0' % number for number in range(1_000_000)) + b"}",
        b"{" + b",".join(b'"k":0' for _ in range(100_000)) + b"}",
    ],
    ids=lambda body: f"{body[:20]!r}.{len(body)}",
)
def test_what_is_not_one_object_is_refused(body: bytes) -> None:
    refused(body)


def test_a_large_ordinary_request_is_read() -> None:
    messages = [{"role": "user", "content": f"line {number}: {{}}"} for number in range(40_000)]
    assert chat(messages=messages).model == "m"


# ------------------------------------------------------------------------ forms


def test_a_form() -> None:
    found = form_controls({"model": "whisper-1", "stream": "true", "n": "2", "user": "u"})
    assert (found.model, found.stream, found.choices) == ("whisper-1", True, 2)
    assert found.end_customer == "u"


@pytest.mark.parametrize(
    "fields",
    [
        {"model": " x"},
        {"Model": "x"},
        {"model": "x", "MODEL": "y"},
        {"stream": "yes"},
        {"n": "1e9"},
        {"n": "\u0665"},
        {"api_base": "x"},
    ],
)
def test_forms_are_read_as_strictly(fields: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        form_controls(fields)


def test_every_json_call_can_be_read() -> None:
    for path in ("/v1/embeddings", "/v1/audio/speech", "/v1/moderations", "/v1/batches"):
        found = match("POST", path)
        assert found is not None
        assert read_controls(b'{"model":"m","input":"x"}', found.endpoint).model == "m"


STEERING = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["a", "b", "", 1]),
        "stream": st.sampled_from([True, False, None, 0]),
        "max_tokens": st.sampled_from([0, 1, 5, None, -1]),
        "n": st.sampled_from([1, 2]),
        "user": st.sampled_from(["u", "v", "x" * 300]),
        "metadata": st.sampled_from([{"user_id": "u"}, {"tags": ["a"]}, "odd"]),
        "Model": st.just("a"),
        "messages": st.sampled_from([[], [{"role": "user"}]]),
    },
)
ENDPOINTS = st.sampled_from([CHAT, COMPLETIONS, MESSAGES, RESPONSES, GEMINI])


def _outcome(read: Any) -> Controls | str:
    try:
        found: Controls = read()
    except BadRequest as error:
        return error.message
    return found


@given(st.lists(st.tuples(STEERING, ENDPOINTS), min_size=2, max_size=6))
def test_what_is_remembered_is_what_would_be_read(
    bodies: list[tuple[dict[str, Any], Endpoint]],
) -> None:
    for body, endpoint in (*bodies, *bodies):
        text = json.dumps(body).encode()
        plainly = _outcome(
            lambda: remembering._controls_of(remembering.read_members(text), endpoint)  # noqa: B023
        )
        assert _outcome(lambda: read_controls(text, endpoint)) == plainly  # noqa: B023


def test_what_is_remembered_of_bodies_has_an_end() -> None:
    for number in range(remembering._KNOWN_MAX + 10):
        assert chat(user=f"u{number}", **{f"x{number}": 1}).user == f"u{number}"
    assert len(remembering._known) <= remembering._KNOWN_MAX
    assert len(remembering._steering) <= remembering._KNOWN_MAX
