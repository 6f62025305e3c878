"""The calls that only one vendor knows: Cohere's, Ollama's and IBM's own APIs, and what Mistral
and Voyage have beside OpenAI's.

Their paths say whose they are, so a model that nobody knows still goes to that vendor. Where
two vendors gave one path to two things, it depends on the provider that a call goes to:
``at_kind`` says what it is there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tollkeeper.domain.routing import Dialect
from tollkeeper.wire.endpoint_types import Body, Endpoint, Match

_OPENAI: Final = Dialect.OPENAI
_COHERE: Final = Dialect.COHERE
_OLLAMA: Final = Dialect.OLLAMA
_WATSONX: Final = Dialect.WATSONX
_ID: Final = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,255}"

RERANK: Final = Endpoint("rerank", _OPENAI, "rerank")
CONVERSATIONS: Final = Endpoint("conversations", _OPENAI, free=True)
"""OpenAI keeps conversations and bills nothing for it; Mistral answers in them."""

OPENAI_SHAPED: Final[Mapping[str, Endpoint]] = {"/rerank": RERANK, "/conversations": CONVERSATIONS}
"""Calls of several vendors, in the place of OpenAI's."""

MISTRAL: Final[Mapping[str, Endpoint]] = {
    "/ocr": Endpoint("ocr", _OPENAI, "mistral_ocr"),
    "/agents/completions": Endpoint("agents/completions", _OPENAI, "openai_chat"),
    "/chat/moderations": Endpoint("chat/moderations", _OPENAI, "openai_embeddings"),
    "/classifications": Endpoint("classifications", _OPENAI, "openai_embeddings"),
    "/chat/classifications": Endpoint("chat/classifications", _OPENAI, "openai_embeddings"),
}
VOYAGE: Final[Mapping[str, Endpoint]] = {
    "/multimodalembeddings": Endpoint("multimodalembeddings", _OPENAI, "voyage_multimodal"),
    "/contextualizedembeddings": Endpoint("contextualizedembeddings", _OPENAI, "openai_embeddings"),
}

_GENERATED: Final = "cohere_chat"
_COHERE_POST: Final = {
    "/v1/chat": Endpoint("chat", _COHERE, _GENERATED),
    "/v2/chat": Endpoint("chat", _COHERE, _GENERATED),
    "/v1/generate": Endpoint("generate", _COHERE, _GENERATED),
    "/v1/summarize": Endpoint("summarize", _COHERE, _GENERATED),
    "/v1/embed": Endpoint("embed", _COHERE, "cohere_embed"),
    "/v2/embed": Endpoint("embed", _COHERE, "cohere_embed"),
    "/v2/rerank": Endpoint("rerank", _COHERE, "rerank"),
    "/v1/classify": Endpoint("classify", _COHERE, "rerank"),
    "/v1/tokenize": Endpoint("tokenize", _COHERE, free=True),
    "/v1/detokenize": Endpoint("detokenize", _COHERE, free=True),
    "/v1/check-api-key": Endpoint("check-api-key", _COHERE, body=Body.OPAQUE, free=True),
}
_OLLAMA_POST: Final = {
    "/api/chat": Endpoint("chat", _OLLAMA, "ollama_chat"),
    "/api/generate": Endpoint("generate", _OLLAMA, "ollama_chat"),
    "/api/embed": Endpoint("embed", _OLLAMA, "ollama_embed"),
    "/api/embeddings": Endpoint("embed", _OLLAMA, "ollama_embed"),
    "/api/show": Endpoint("show", _OLLAMA, free=True),
}
_OLLAMA_GET: Final = {
    f"/api/{name}": Endpoint(name, _OLLAMA, body=Body.NONE, free=True)
    for name in ("tags", "ps", "version")
}

_WATSONX_TEXT: Final = {
    "generation": Endpoint("text/generation", _WATSONX, "watsonx_text"),
    "chat": Endpoint("text/chat", _WATSONX, "openai_chat"),
    "embeddings": Endpoint("text/embeddings", _WATSONX, "watsonx_counts"),
    "rerank": Endpoint("text/rerank", _WATSONX, "watsonx_counts"),
    "tokenization": Endpoint("text/tokenization", _WATSONX, free=True),
}
_WATSONX_PATH: Final = re.compile(
    rf"/ml/v1(?:/deployments/{_ID})?/text/([a-z]+)(_stream)?"
    r"|/ml/v1-beta/generation/text(_stream)?"
)
_CONVERSATION: Final = re.compile(rf"/v1/conversations/{_ID}(?:/restart)?")


def _own(calls: Mapping[str, Endpoint], kind: str) -> dict[str, Match]:
    return {path: Match(endpoint, path, kind=kind) for path, endpoint in calls.items()}


EXACT_POST: Final[dict[str, Match]] = (
    _own(_COHERE_POST, "cohere")
    | _own(_OLLAMA_POST, "ollama")
    | {f"/v1{path}": Match(endpoint, path, kind="mistral") for path, endpoint in MISTRAL.items()}
    | {f"/v1{path}": Match(endpoint, path, kind="voyage") for path, endpoint in VOYAGE.items()}
)
EXACT_GET: Final[dict[str, Match]] = _own(_OLLAMA_GET, "ollama")

_BILLED_AT_MISTRAL: Final = Endpoint("moderations", _OPENAI, "openai_embeddings")
_CONVERSATIONS_AT_MISTRAL: Final = Endpoint("conversations", _OPENAI, "mistral_conversations")
_CHAT_AT_WRITER: Final = Endpoint("chat/completions", _OPENAI, "openai_chat")
_AT_KIND: Final[Mapping[tuple[str, Dialect, str], tuple[Endpoint, str]]] = {
    # Cohere has no rerank in the place of OpenAI's.
    ("cohere", _OPENAI, "rerank"): (RERANK._replace(dialect=_COHERE), "/v1/rerank"),
    # Beside its compatible place, a client of Cohere's may find its own embeddings here.
    ("cohere", _OPENAI, "embeddings"): (Endpoint("embeddings", _OPENAI, "cohere_embed"), ""),
    ("mistral", _OPENAI, "moderations"): (_BILLED_AT_MISTRAL, ""),
    ("mistral", _OPENAI, "conversations"): (_CONVERSATIONS_AT_MISTRAL, ""),
    ("writer", _COHERE, "chat"): (_CHAT_AT_WRITER, "/chat"),
    ("writer", _OPENAI, "chat/completions"): (_CHAT_AT_WRITER, "/chat"),
}
_ENDS: Final[Mapping[str, Endpoint]] = {
    "/invocations": Endpoint("invocations", _OPENAI, "openai_chat"),
    "/inference:complete": Endpoint("inference:complete", _OPENAI, "openai_chat"),
}
"""Ends of paths below a provider that are like no other: Databricks' and Snowflake's."""


def native_match(method: str, path: str) -> Match | None:
    """Recognise a path of IBM's, or of a conversation that goes on, which are many."""
    if method != "POST":
        return None
    if path.startswith("/ml/"):
        return _watsonx(path)
    if path.startswith("/v1/conversations/") and _CONVERSATION.fullmatch(path):
        return Match(CONVERSATIONS, path.removeprefix("/v1"))
    return None


def at_kind(kind: str, match: Match) -> Match:
    """Say what a call is at one kind of provider; mostly just what it is everywhere."""
    found = _AT_KIND.get((kind, match.endpoint.dialect, match.endpoint.name))
    if found is None:
        return match
    endpoint, path = found
    if match.provider or not path:
        return match._replace(endpoint=endpoint)
    return match._replace(endpoint=endpoint, upstream_path=path)


def ends_of(calls: Mapping[str, Endpoint]) -> dict[str, Endpoint]:
    """Give the ends by which a path below a provider is known, wherever that keeps the call."""
    metered = {path: endpoint for path, endpoint in calls.items() if endpoint.reader != "none"}
    return {**metered, **MISTRAL, **_ENDS}


def _watsonx(path: str) -> Match | None:
    found = _WATSONX_PATH.fullmatch(path)
    if found is None:
        return None
    endpoint = _WATSONX_TEXT.get(found[1] or "generation")
    if endpoint is None:
        return None
    return Match(endpoint, path, streamed=bool(found[2] or found[3]), kind="watsonx")
