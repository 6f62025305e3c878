"""The fields of a request that steer what it costs and whom it is for.

They are read without decoding the prompt. What is read here is exactly what the provider
will read: a field in a second spelling, of a wrong type or out of its range is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from tollkeeper.domain.errors import BadRequest
from tollkeeper.domain.routing import Dialect
from tollkeeper.wire import asked
from tollkeeper.wire import field_values as values
from tollkeeper.wire.bedrock_controls import bedrock_controls
from tollkeeper.wire.endpoints import Endpoint
from tollkeeper.wire.json_object import Members, read_members
from tollkeeper.wire.model_names import require_model_name
from tollkeeper.wire.sessions import session_in_user_id

_OBJECT_BYTES_MAX: Final = 64 << 10
_CUSTOMER_CHARS_MAX: Final = 256


class Controls(NamedTuple):
    """What a request asks for.

    ``max_output_tokens`` is the caller's own limit, None when there is none. ``choices``
    multiplies the output (n, best_of, candidateCount). ``asks_for_usage`` tells that the
    caller wants the usage in its stream. ``tags`` holds the JSON of the body's tags, the
    most specific first. ``session_id`` and ``end_customer`` are what the body says of them
    ("" when nothing). ``asked`` is what the request itself says of its price.
    """

    model: str = ""
    stream: bool = False
    asks_for_usage: bool = False
    has_stream_options: bool = False
    max_output_tokens: int | None = None
    choices: int = 1
    service_tier: str = ""
    speed: str = ""
    inference_geo: str = ""
    background: bool = False
    prompt_cache_key: str = ""
    user: str = ""
    end_customer: str = ""
    session_id: str = ""
    tags: tuple[bytes, ...] = ()
    asked: asked.Asked = asked.NOTHING


NO_CONTROLS: Final = Controls()
_PLACES: Final = {
    name: Controls._fields.index(name)
    for name in (
        *("model", "stream", "service_tier", "speed", "inference_geo", "background"),
        *("prompt_cache_key", "user"),
    )
}
_ASKS: Final = Controls._fields.index("asks_for_usage")
_HAS_OPTIONS: Final = Controls._fields.index("has_stream_options")
_LIMIT: Final = Controls._fields.index("max_output_tokens")
_CHOICE: Final = Controls._fields.index("choices")
_CUSTOMER: Final = Controls._fields.index("end_customer")
_SESSION: Final = Controls._fields.index("session_id")
_TAGS: Final = Controls._fields.index("tags")
_CHOICES: Final = frozenset({"n", "best_of"})

# Where a call goes and who pays for it is the operator's choice. Other gateways let the body
# decide, and so gave the operator's key to whoever asked for it (CVE-2024-6587).
_NOT_SETTABLE: Final = (
    "api_base",
    "base_url",
    "api_key",
    "api_version",
    "proxy",
    "organization",
    "custom_llm_provider",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "aws_region_name",
    "aws_role_name",
    "aws_bedrock_runtime_endpoint",
    "vertex_credentials",
    "vertex_project",
)
_OUTPUT_LIMITS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_FLAT: Final[Mapping[str, values.Reader]] = {
    "model": values.model,
    "stream": values.flag,
    "stream_options": values.raw,
    **dict.fromkeys(_OUTPUT_LIMITS, values.limit),
    "n": values.choices,
    "best_of": values.choices,
    "service_tier": values.text,
    "speed": values.text,
    "inference_geo": values.text,
    "background": values.flag,
    "prompt_cache_key": values.text,
    "user": values.text,
    "safety_identifier": values.text,
    "metadata": values.raw,
    "litellm_metadata": values.raw,
    "tags": values.raw,
    **dict.fromkeys(_NOT_SETTABLE, values.not_settable),
}
_GEMINI: Final[Mapping[str, values.Reader]] = {
    "model": values.model,
    "generationConfig": values.raw,
    "request": values.raw,
    "serviceTier": values.text,
}
_GENERATION: Final[Mapping[str, values.Reader]] = {
    "maxOutputTokens": values.limit,
    "candidateCount": values.choices,
}
_INTERACTIONS: Final = "interactions"  # Google's, whose body is flat and names the model
_STREAMS_UNLESS_TOLD: Final = "ollama_chat"
_WATSONX_MODEL: Final = "model_id"
_CODE_ASSIST: Final[Mapping[str, values.Reader]] = {
    "generationConfig": values.raw,
    "session_id": values.text,
}
# Names that need no second look: they cannot be taken for a control.
_ORDINARY: Final = frozenset(
    {
        *("messages", "input", "instructions", "system", "contents", "prompt", "tools"),
        *("tool_choice", "parallel_tool_calls", "temperature", "top_p", "top_k", "stop"),
        *("thinking", "reasoning", "reasoning_effort", "response_format", "text", "store"),
        *("include", "output_config", "context_management", "client_metadata", "seed"),
        *("encoding_format", "dimensions", "size", "quality", "voice", "verbosity"),
        *("previous_response_id", "truncation", "presence_penalty", "frequency_penalty"),
        *("logprobs", "top_logprobs", "logit_bias", "stop_sequences", "modalities", "audio"),
        *_FLAT,
    }
)


def read_controls(body: bytes, endpoint: Endpoint) -> Controls:
    """Read the controls of a JSON body. Raises BadRequest, which names the field at fault.

    What was read is remembered: most bodies differ only in fields that steer nothing.
    """
    members = read_members(body)
    key = _key_of(members, endpoint)
    if key is None:
        return _controls_of(members, endpoint)
    controls = _known.get(key)
    if controls is None:
        controls = _controls_of(members, endpoint)
        if len(_known) >= _KNOWN_MAX:
            _known.clear()
        _known[key] = controls
    return controls


_KNOWN_MAX: Final = 1_000
_KNOWN_MEMBERS_MAX: Final = 32
_KNOWN_VALUE_BYTES_MAX: Final = 256
_OWN_WAYS: Final = frozenset({Dialect.GEMINI, Dialect.BEDROCK, Dialect.WATSONX})
_known: dict[tuple[object, ...], Controls] = {}
_steering: dict[tuple[str, ...], tuple[str, ...]] = {}  # names of a body → those that are read


def _key_of(members: Members, endpoint: Endpoint) -> tuple[object, ...] | None:
    """Give all that the controls of a body follow from; None where that is too much to keep."""
    if len(members) > _KNOWN_MEMBERS_MAX:
        return None
    reader = endpoint.reader
    if reader in asked.READERS or endpoint.dialect in _OWN_WAYS:
        return None
    names = tuple(members)
    steering = _steering.get(names)
    if steering is None:
        steering = tuple(name for name in names if name in _FLAT)
        if len(_steering) >= _KNOWN_MAX:
            _steering.clear()
        if sum(map(len, names)) <= _KNOWN_MEMBERS_MAX * _KNOWN_VALUE_BYTES_MAX:
            _steering[names] = steering
    key: list[object] = [endpoint.name, reader, names]
    for name in steering:
        value = members[name]
        if len(value) > _KNOWN_VALUE_BYTES_MAX:
            return None
        key.append(bytes(value))
    return tuple(key)


def _controls_of(members: dict[str, msgspec.Raw], endpoint: Endpoint) -> Controls:
    if endpoint.dialect is Dialect.GEMINI and endpoint.name != _INTERACTIONS:
        return _gemini_controls(members)
    if endpoint.dialect is Dialect.BEDROCK:
        limit, tier = bedrock_controls(members)
        return NO_CONTROLS._replace(max_output_tokens=limit, service_tier=tier)
    if endpoint.dialect is Dialect.WATSONX:
        members = _with_watsonx_model(members)
    found = _read(members, _FLAT, _FLAT_FOLDED)
    controls = _flat_controls(found, limit_min=0 if endpoint.name == "completions" else 1)
    reader = endpoint.reader
    if reader in asked.READERS:
        said = asked.asked_in_json(reader, members, controls.model, controls.choices)
        return controls._replace(asked=said)
    if reader == _STREAMS_UNLESS_TOLD and bytes(members.get("stream", b"null")) == b"null":
        return controls._replace(stream=True)
    return controls


def form_controls(fields: Mapping[str, str], reader: str = "") -> Controls:
    """Read the controls of a form from its text fields. Raises BadRequest as well."""
    _require_usual_spelling(fields, _FLAT_FOLDED)
    for name in _NOT_SETTABLE:
        if name in fields:
            values.not_settable(name, b"")
    model = fields.get("model", "")
    choices = values.choices("n", fields.get("n", "1").encode())
    return Controls(
        model=require_model_name(model) if model else "",
        stream=values.form_flag("stream", fields.get("stream", "false")),
        choices=choices,
        user=fields.get("user", ""),
        end_customer=_shown(fields.get("user", "")),
        asked=asked.asked_in_form(reader, fields, model, choices),
    )


def _with_watsonx_model(members: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """Put the model where all others have it. A second name for it would be somebody's mistake."""
    if "model" in members:
        raise BadRequest(
            f"the field 'model' is not known here: it is {_WATSONX_MODEL!r}", code="field_ambiguous"
        )
    _require_usual_spelling(members, {_fold(_WATSONX_MODEL): _WATSONX_MODEL})
    model = members.get(_WATSONX_MODEL)
    return members if model is None else {**members, "model": model}


def _folded(names: Iterable[str]) -> dict[str, str]:
    return {_fold(name): name for name in names}


def _fold(name: str) -> str:
    """Give the form in which some servers compare names.

    Go's JSON reader takes ``Model`` and even ``STREAM`` for the real names, and Google's
    takes ``max_output_tokens`` for ``maxOutputTokens``.
    """
    return name.casefold().replace("_", "")


_FLAT_FOLDED: Final = _folded(_FLAT)
_GEMINI_FOLDED: Final = _folded(_GEMINI)
_GENERATION_FOLDED: Final = _folded(_GENERATION)
_CODE_ASSIST_FOLDED: Final = _folded(_CODE_ASSIST)
_STREAM_OPTIONS: Final[Mapping[str, values.Reader]] = {"include_usage": values.flag}
_STREAM_OPTIONS_FOLDED: Final = _folded(_STREAM_OPTIONS)


def _read(
    members: Members, readers: Mapping[str, values.Reader], folded: Mapping[str, str]
) -> dict[str, Any]:
    if not _ORDINARY.issuperset(members):
        _require_usual_spelling(members, folded)
    found = {}
    for name, value in members.items():
        reader = readers.get(name)
        if reader is not None:
            found[name] = reader(name, bytes(value))
    return found


def _require_usual_spelling(names: Iterable[str], folded: Mapping[str, str]) -> None:
    for name in names:
        control = folded.get(_fold(name))
        if control is not None and control != name:
            raise BadRequest(
                f"the field {control!r} is spelled in a way that only some servers take for it",
                code="field_ambiguous",
            )


def _flat_controls(found: Mapping[str, Any], *, limit_min: int) -> Controls:
    controls = list(NO_CONTROLS)
    for name, value in found.items():
        place = _PLACES.get(name)
        if place is not None:
            controls[place] = value
        elif name in _OUTPUT_LIMITS:
            if value is not None:
                if value < limit_min:
                    raise values.wrong(name, f"at least {limit_min}")
                controls[_LIMIT] = max(controls[_LIMIT] or 0, value)
        elif name == "stream_options":
            if value != b"null":
                controls[_HAS_OPTIONS] = True
                controls[_ASKS] = _asks_for_usage(value)
        elif name in _CHOICES:
            controls[_CHOICE] = max(controls[_CHOICE], value)
    if not _ABOUT_THE_CALLER.isdisjoint(found):
        controls[_CUSTOMER], controls[_SESSION], controls[_TAGS] = _caller(found)
    return Controls._make(controls)


def _asks_for_usage(options: bytes) -> bool:
    if options == b'{"include_usage":true}':
        return True
    inner = values.members("stream_options", options)
    found = _read(inner, _STREAM_OPTIONS, _STREAM_OPTIONS_FOLDED)
    return bool(found.get("include_usage", False))


_ABOUT_THE_CALLER: Final = frozenset(
    {"metadata", "user", "litellm_metadata", "safety_identifier", "tags"}
)
_Caller = tuple[str, str, tuple[bytes, ...]]


def _caller(found: Mapping[str, Any]) -> _Caller:
    """Give the end customer (in LiteLLM's order), the session and the tags."""
    metadata = _small_object(found.get("metadata"))
    litellm = _small_object(found.get("litellm_metadata"))
    user_id = values.text_or_nothing(metadata.get("user_id"))
    session = session_in_user_id(user_id)
    customer = (
        found.get("user", "")
        or values.text_or_nothing(litellm.get("user"))
        or ("" if session else user_id)
        or found.get("safety_identifier", "")
    )
    tags = (found.get("tags"), metadata.get("tags"), litellm.get("tags"))
    said = tuple([bytes(value) for value in tags if value is not None])
    return _shown(customer), session, said


def _small_object(value: bytes | None) -> Members:
    """Give the members of a field that may hold anything, nothing where it is no object."""
    if value is None or value[:1] != b"{" or len(value) > _OBJECT_BYTES_MAX:
        return {}
    return read_members(value)


def _shown(text: str) -> str:
    return text if len(text) <= _CUSTOMER_CHARS_MAX and text.isprintable() else ""


# ------------------------------------------------------------------------ Gemini


def _gemini_controls(members: Members) -> Controls:
    found = _read_either(members, _GEMINI, _GEMINI_FOLDED)
    session = ""
    config = found.get("generationConfig", b"null")
    if "request" in found:
        # Code Assist wraps the request; its model stands outside.
        inner = values.members("request", found["request"])
        wrapped = _read_either(inner, _CODE_ASSIST, _CODE_ASSIST_FOLDED)
        config = wrapped.get("generationConfig", b"null")
        session = wrapped.get("session_id", "")
    limit, choices = None, 1
    if config != b"null":
        inner = values.members("generationConfig", config)
        generation = _read_either(inner, _GENERATION, _GENERATION_FOLDED)
        limit = generation.get("maxOutputTokens")
        if limit is not None and limit < 1:
            raise values.wrong("maxOutputTokens", "at least 1")
        choices = generation.get("candidateCount", 1)
    return Controls(
        # Elsewhere the model stands in the path, which is what Google goes by.
        model=found.get("model", "") if "request" in found else "",
        max_output_tokens=limit,
        choices=choices,
        service_tier=found.get("serviceTier", ""),
        session_id=session,
    )


def _read_either(
    members: Members, readers: Mapping[str, values.Reader], folded: Mapping[str, str]
) -> dict[str, Any]:
    """Read fields that may be written in either of Google's two spellings, but not in both."""
    found: dict[str, Any] = {}
    for name in members:
        control = folded.get(_fold(name))
        if control is None:
            continue
        if control in found or name not in {control, _snake_case(control)}:
            raise BadRequest(
                f"the field {control!r} is spelled twice or in an unusual way",
                code="field_ambiguous",
            )
        found[control] = readers[control](name, bytes(members[name]))
    return found


def _snake_case(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)
