"""Changes to a request on its way to the provider: only what must change, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import msgspec

from tollkeeper.wire.bedrock_paths import with_model_in_path
from tollkeeper.wire.json_object import read_members, value_span

_ASK: Final = b'"stream_options":{"include_usage":true}'
_ASKED: Final = b'{"include_usage":true}'
_INNER: Final = b'"include_usage":true'
_FOR_GATEWAYS: Final = frozenset({"tags", "litellm_metadata"})
_MODEL_PART: Final = re.compile(r"(.*/)((?:models/|tunedModels/).+):([A-Za-z]+)")
_encode: Final = msgspec.json.encode


def with_model(body: bytes, model: str, field: str = "model") -> bytes:
    """Put another model's name into a JSON body; add it where none was named."""
    members = read_members(body)
    if field not in members:
        member = _encode(field) + b":" + _encode(model)
        return _with_member(body, member, empty=not members)
    return _replaced(body, value_span(body, members, field), _encode(model))


def with_usage_requested(body: bytes) -> bytes:
    """Ask an OpenAI-style stream for its usage."""
    members = read_members(body)
    if "stream_options" not in members:
        return _with_member(body, _ASK, empty=not members)
    span = value_span(body, members, "stream_options")
    return _replaced(body, span, _options_asking(bytes(members["stream_options"])))


def without_tags(body: bytes) -> bytes:
    """Take out the tags that were meant for a gateway: providers refuse them.

    These are the top-level ``tags`` and ``litellm_metadata``, and a list or object under
    ``metadata.tags``. What is left is written without blanks between the members.
    """
    members = {key: bytes(value) for key, value in read_members(body).items()}
    kept = {key: value for key, value in members.items() if key not in _FOR_GATEWAYS}
    metadata = kept.get("metadata", b"")
    if metadata[:1] == b"{":
        inner = {key: bytes(value) for key, value in read_members(metadata).items()}
        if inner.get("tags", b"")[:1] in {b"{", b"["}:
            del inner["tags"]
            kept["metadata"] = _written(inner)
            if not inner:
                del kept["metadata"]
    return body if kept == members else _written(kept)


def with_path_model(path: str, model: str) -> str:
    """Put another model's name into a path of Gemini's or Bedrock's.

    A path that names none stays as it is.
    """
    if path.startswith("/model/"):
        return with_model_in_path(path, model)
    found = _MODEL_PART.fullmatch(path)
    if found is None:
        return path
    named = model if model.startswith("tunedModels/") else f"models/{model}"
    return f"{found[1]}{quote(named, safe='/')}:{found[3]}"


def path_below(base_path: str, path: str) -> str:
    """Give the path of a Gemini call below a base URL's own path.

    A base that is a bare host keeps the caller's version. One that says more (a version, or
    a project and location on Vertex) replaces everything in front of the model.
    """
    if base_path in {"", "/"}:
        return path
    found = _MODEL_PART.fullmatch(path)
    return f"{base_path}/{path[len(found[1]) :]}" if found else base_path + path


def _options_asking(options: bytes) -> bytes:
    if options == b"null":
        return _ASKED
    members = read_members(options)
    if "include_usage" not in members:
        return _with_member(options, _INNER, empty=not members)
    return _replaced(options, value_span(options, members, "include_usage"), b"true")


def _with_member(text: bytes, member: bytes, *, empty: bool) -> bytes:
    after = text.index(b"{") + 1
    return text[:after] + member + (b"" if empty else b",") + text[after:]


def _replaced(text: bytes, span: tuple[int, int], value: bytes) -> bytes:
    start, end = span
    return text[:start] + value + text[end:]


def _written(members: Mapping[str, bytes]) -> bytes:
    return b"{" + b",".join(_encode(key) + b":" + value for key, value in members.items()) + b"}"
