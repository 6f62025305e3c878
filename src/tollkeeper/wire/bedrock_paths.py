"""The paths of Amazon Bedrock's runtime, which name the model between two fixed words.

A model may be an ARN with slashes in it, which clients escape. So a name is decoded, checked,
and written anew in the one way that AWS's own clients write it: whatever came, only one path
can be read out of what is sent.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote

from tollkeeper.domain.errors import BadRequest
from tollkeeper.domain.routing import Dialect
from tollkeeper.wire.endpoint_types import Endpoint, Match
from tollkeeper.wire.model_names import require_model_name

KIND: Final = "bedrock"

_BEDROCK: Final = Dialect.BEDROCK
_INVOKE: Final = "bedrock_invoke"
_CONVERSE: Final = "bedrock_converse"
_ENDPOINTS: Final = {
    "converse": Endpoint("converse", _BEDROCK, _CONVERSE),
    "converse-stream": Endpoint("converse", _BEDROCK, _CONVERSE),
    "invoke": Endpoint("invoke", _BEDROCK, _INVOKE),
    "invoke-with-response-stream": Endpoint("invoke", _BEDROCK, _INVOKE),
    "count-tokens": Endpoint("count-tokens", _BEDROCK, free=True),
}
_STREAMED: Final = frozenset({"converse-stream", "invoke-with-response-stream"})
_CALL: Final = re.compile(
    r"(?:/bedrock|/providers/([A-Za-z0-9][A-Za-z0-9_.-]{0,63}))?"
    r"(/model/)([^?#]+)(/[a-z-]+)"
)
_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*")
_CLIMBING: Final = frozenset({"", ".", ".."})


def bedrock_call(method: str, path: str) -> Match | None:
    """Recognise a call of the runtime; None for any other path.

    Raises BadRequest for a model that is no name of one.
    """
    call = _CALL.fullmatch(path) if method == "POST" else None
    endpoint = _ENDPOINTS.get(call[4][1:]) if call is not None else None
    if call is None or endpoint is None:
        return None
    model = _decoded(call[3])
    upstream = with_model_in_path(path[path.index("/model/") :], model)
    return Match(
        endpoint,
        upstream,
        model,
        call[4][1:] in _STREAMED,
        provider=call[1] or "",
        kind="" if call[1] else KIND,
    )


def with_model_in_path(path: str, model: str) -> str:
    """Put another model's name into a path of the runtime."""
    found = _CALL.fullmatch(path)
    return path if found is None else f"{found[2]}{quote(model, safe='')}{found[4]}"


def _decoded(segment: str) -> str:
    try:
        model = unquote(segment, errors="strict")
    except UnicodeDecodeError:
        model = ""
    # An escape that is left would be decoded by somebody further on.
    if _MODEL.fullmatch(model) is None or not _CLIMBING.isdisjoint(model.split("/")):
        raise BadRequest("the model id in the path is no name", code="model_invalid")
    return require_model_name(model)
