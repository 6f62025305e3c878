"""The calls that the gateway knows, and how a method and path are recognised as one of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from tollkeeper.domain.key_tokens import PREFIX
from tollkeeper.domain.routing import Dialect
from tollkeeper.wire import job_endpoints
from tollkeeper.wire.bedrock_paths import bedrock_call
from tollkeeper.wire.endpoint_types import Body, Endpoint, Match
from tollkeeper.wire.native_endpoints import (
    EXACT_GET,
    EXACT_POST,
    OPENAI_SHAPED,
    ends_of,
    native_match,
)
from tollkeeper.wire.paths import model_in_path, require_clean_path

__all__ = ["Body", "Endpoint", "Match", "body_kind", "match"]

_OPENAI: Final = Dialect.OPENAI
_ANTHROPIC: Final = Dialect.ANTHROPIC
_GEMINI: Final = Dialect.GEMINI

CHAT: Final = Endpoint("chat/completions", _OPENAI, "openai_chat")
RESPONSES: Final = Endpoint("responses", _OPENAI, "openai_responses")
RESPONSES_SOCKET: Final = Endpoint("responses/websocket", _OPENAI, body=Body.NONE, local=True)
"""A WebSocket upgrade. It is refused with 426, after which Codex uses plain requests."""
MODELS: Final = Endpoint("models", _OPENAI, body=Body.NONE, free=True, local=True)
MESSAGES: Final = Endpoint("messages", _ANTHROPIC, "anthropic_messages")
COUNT_TOKENS: Final = Endpoint("messages/count_tokens", _ANTHROPIC, free=True)
ANTHROPIC_MODELS: Final = MODELS._replace(dialect=_ANTHROPIC)
GEMINI_MODELS: Final = MODELS._replace(dialect=_GEMINI)
HELLO: Final = Endpoint("hello", _ANTHROPIC, body=Body.NONE, free=True, local=True)
PASSTHROUGH: Final = Endpoint("passthrough", _OPENAI, body=Body.OPAQUE)

_OPENAI_POST: Final = {
    "/chat/completions": CHAT,
    "/responses": RESPONSES,
    "/responses/compact": Endpoint("responses/compact", _OPENAI, "openai_responses"),
    "/responses/input_tokens": Endpoint("responses/input_tokens", _OPENAI, free=True),
    "/completions": Endpoint("completions", _OPENAI, "openai_completions"),
    "/fim/completions": Endpoint("fim/completions", _OPENAI, "openai_chat"),
    "/embeddings": Endpoint("embeddings", _OPENAI, "openai_embeddings"),
    "/images/generations": Endpoint("images/generations", _OPENAI, "openai_images"),
    "/images": Endpoint("images", _OPENAI, "openai_images"),  # OpenRouter's own place
    "/images/edits": Endpoint("images/edits", _OPENAI, "openai_images", Body.MULTIPART),
    "/images/variations": Endpoint("images/variations", _OPENAI, "openai_images", Body.MULTIPART),
    "/audio/transcriptions": Endpoint(
        "audio/transcriptions", _OPENAI, "openai_transcription", Body.MULTIPART
    ),
    "/audio/translations": Endpoint(
        "audio/translations", _OPENAI, "openai_transcription", Body.MULTIPART
    ),
    "/audio/speech": Endpoint("audio/speech", _OPENAI, "openai_speech"),
    "/moderations": Endpoint("moderations", _OPENAI, free=True),
    **job_endpoints.OPENAI_POST,
    **OPENAI_SHAPED,
}
_OPENAI_GET: Final = {
    "/models": MODELS,
    **job_endpoints.OPENAI_GET,
    "/responses": RESPONSES_SOCKET,
}
_ANTHROPIC_POST: Final = {
    "/messages": MESSAGES,
    "/messages/count_tokens": COUNT_TOKENS,
    **job_endpoints.ANTHROPIC_POST,
}

# The same call under the different base URLs that people configure: with and without the
# version, with it twice, and with the vendor's name in front.
_OPENAI_PREFIXES: Final = (
    "/v1",
    "/v1/v1",
    "/openai/v1",
    "/openai",
    "/v1beta/openai",
)
_ANTHROPIC_PREFIXES: Final = ("/v1", "/v1/v1", "/anthropic/v1", "/anthropic")
_GEMINI_MODEL_PATHS: Final = (
    "/v1beta/models",
    "/v1beta/v1beta/models",
    "/google/v1beta/models",
    "/google/v1/models",
    "/gemini/v1beta/models",
    "/gemini/v1/models",
)


def _placed(
    calls: Mapping[str, Endpoint], prefixes: Iterable[str], kind: str = ""
) -> dict[str, Match]:
    return {
        prefix + path: Match(endpoint, path, kind=kind)
        for prefix in prefixes
        for path, endpoint in calls.items()
    }


_HELLO_MATCH: Final = {"/api/hello": Match(HELLO, "/api/hello")}
# Without a version a listing could be one of the console's own pages; a POST cannot.
_BARE_GET: Final = {"/responses": Match(RESPONSES_SOCKET, "/responses")}
# Azure's inference API has paths of its own for the models of other makers.
_AZURE_INFERENCE: Final = {
    f"/models{path}": Match(_OPENAI_POST[path], path, query_dropped=("api-version",))
    for path in ("/chat/completions", "/embeddings")
}
_EXACT: Final[Mapping[str, Mapping[str, Match]]] = {
    "POST": _placed(_OPENAI_POST, ("", *_OPENAI_PREFIXES))
    | _AZURE_INFERENCE
    | _placed(_ANTHROPIC_POST, ("", *_ANTHROPIC_PREFIXES))
    | _placed(job_endpoints.MISTRAL_POST, _OPENAI_PREFIXES, "mistral")
    | EXACT_POST,
    "GET": _placed(_OPENAI_GET, _OPENAI_PREFIXES)
    | EXACT_GET
    | {
        path: Match(ANTHROPIC_MODELS, "/models")
        for path in ("/anthropic/v1/models", "/anthropic/models")
    }
    | {path: Match(GEMINI_MODELS, "/v1beta/models") for path in _GEMINI_MODEL_PATHS}
    | _placed(job_endpoints.ANTHROPIC_GET, _ANTHROPIC_PREFIXES)
    | _BARE_GET
    | _HELLO_MATCH,
    "HEAD": _HELLO_MATCH,
}

_ANTHROPIC_PREFIX: Final = re.compile(r"(?:/anthropic)?(?:/v1){0,2}(?=/messages/)")
_OPENAI_PREFIX: Final = re.compile(
    r"/openai/v1(?=/)|/openai(?=/)|/v1beta/openai(?=/)|(?:/v1){1,2}(?=/)"
)
_LISTED_MODEL: Final = re.compile(
    r"(?:(/anthropic)(?:/v1)?|/(?:google|gemini)/v1(?:beta)?|(/v1beta)|(?:/openai)?/v1)/models/(.+)"
)
_DEPLOYMENT: Final = re.compile(r"/openai/deployments/([^/]+)(/.+)")
_PROVIDERS: Final = re.compile(r"/providers/([A-Za-z0-9][A-Za-z0-9_.-]{0,63})(/.+)")

# What nearly every Gemini call looks like; nothing in it can be ambiguous.
_GEMINI_PLAIN: Final = re.compile(
    r"/v1(?:beta)?/models/([A-Za-z0-9][A-Za-z0-9._-]{0,127}):([A-Za-z]+)"
)
_GEMINI_CALL: Final = re.compile(
    r"(?:/google|/gemini)?(?:/v1(?:beta)?(?=/v1))?"
    r"(?:/(v1|v1beta|v1beta1|v1alpha))?"
    r"((?:/projects/[^/]+/locations/[^/]+)?/publishers/([^/]+))?"
    r"/(models/|(?=tunedModels/))(.+):([A-Za-z]+)"
)
_GEMINI_VERBS: Final = {
    verb: Endpoint(verb, _GEMINI, reader, free=free)
    for verb, reader, free in (
        ("generateContent", "gemini", False),
        ("streamGenerateContent", "gemini", False),
        ("embedContent", "gemini", False),
        ("batchEmbedContents", "gemini", False),
        ("predict", "gemini", False),
        *((verb, "new_operation", False) for verb in job_endpoints.GEMINI_VERBS),
        ("countTokens", "none", True),
        ("computeTokens", "none", True),
    )
}
_STREAMING_VERBS: Final = frozenset({"streamGenerateContent", "streamRawPredict"})
# Other publishers' models on Vertex speak their own language inside Google's path.
_PUBLISHER_READERS: Final = {"anthropic": "anthropic_messages", "mistralai": "openai_chat"}
_VERTEX: Final = "vertex"
_RAW_VERBS: Final = frozenset({"rawPredict", "streamRawPredict"})
_CODE_ASSIST: Final = re.compile(r"/v1internal(?::([A-Za-z]+)|/operations/.+)")
_CODE_ASSIST_SIDE_CALL: Final = Endpoint("code-assist", _GEMINI, body=Body.OPAQUE, free=True)
_CHATGPT_SIDE_CALL: Final = Endpoint("chatgpt", _OPENAI, body=Body.OPAQUE, free=True)
_DIALECT_OF: Final = {
    "anthropic": _ANTHROPIC,
    "google": _GEMINI,
    "vertex": _GEMINI,
    "code-assist": _GEMINI,
    "cohere": Dialect.COHERE,
    "ollama": Dialect.OLLAMA,
    "watsonx": Dialect.WATSONX,
    "bedrock": Dialect.BEDROCK,
}
_GEMINI_END: Final = re.compile(r"/v1(?:beta1?)?/(?:publishers/[^/]+/)?models/[^/]+:[A-Za-z]+$")
_ENDS: Final = ends_of(_OPENAI_POST) | {"/v1/messages": MESSAGES}
_METHODS: Final = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
}


def match(method: bytes | str, path: str) -> Match | None:
    """Recognise a request; None when the path is no call to a model provider.

    ``path`` is the target without its query, as it was sent. Raises BadRequest for a path
    that different servers could read differently.
    """
    if isinstance(method, bytes):
        method = _METHODS.get(method, "")
    exact = _EXACT.get(method)
    found = exact.get(path) if exact is not None else None
    if found is not None:
        return found
    plain = _GEMINI_PLAIN.fullmatch(path)
    if plain is not None and method == "POST" and PREFIX not in path:
        endpoint = _GEMINI_VERBS.get(plain[2])
        if endpoint is not None:
            return Match(endpoint, path, plain[1], plain[2] in _STREAMING_VERBS)
    if "/model/" in path:
        called = bedrock_call(method, path)
        if called is not None:
            return called
    require_clean_path(path)
    return _beside(method, path) or _by_pattern(method, path)


def body_kind(endpoint: Endpoint, content_type: bytes) -> Body:
    """Say what a body is: some calls take either a form or JSON."""
    if endpoint.body is Body.MULTIPART and content_type[:16].lower() == b"application/json":
        return Body.JSON
    return endpoint.body


def _beside(method: str, path: str) -> Match | None:
    """Recognise paths that name their provider; the rest of them goes there unchanged."""
    if path.startswith("/providers/"):
        named = _PROVIDERS.fullmatch(path)
        return _passed(method, named[1], named[2], named[2]) if named else None
    if path.startswith("/coding/"):
        return _passed(method, "kimi-code", path, path.removeprefix("/coding"))
    if path.startswith("/backend-api/"):
        inner = path.removeprefix("/backend-api/codex")
        if inner == path:
            return Match(_CHATGPT_SIDE_CALL, path, provider="chatgpt")
        return _passed(method, "chatgpt", path, inner)
    if path.startswith("/v1internal"):
        call = _CODE_ASSIST.fullmatch(path)
        if call is None:
            return None
        verb = call[1] or ""
        endpoint = _GEMINI_VERBS.get(verb, _CODE_ASSIST_SIDE_CALL)
        streamed = verb in _STREAMING_VERBS
        return Match(endpoint, path, streamed=streamed, provider="code-assist")
    return None


def _passed(method: str, provider: str, path: str, inner: str) -> Match:
    exact = _EXACT.get(method)
    found = exact.get(inner) if exact is not None else None
    found = found or _by_pattern(method, inner) or _by_end(method, inner)
    if found is None or found.endpoint is HELLO:
        endpoint = PASSTHROUGH._replace(dialect=_DIALECT_OF.get(provider, _OPENAI))
        return Match(endpoint, path, provider=provider)
    endpoint = found.endpoint._replace(local=False)
    return found._replace(
        endpoint=endpoint, upstream_path=path, provider=provider, query_dropped=()
    )


def _by_end(method: str, path: str) -> Match | None:
    """Recognise a call that a provider keeps below a path of its own, as resellers do."""
    if method != "POST":
        return None
    gemini = _GEMINI_END.search(path)
    if gemini is not None:
        return _gemini(gemini[0])
    parts = path.rsplit("/", 2)
    endpoint = _ENDS.get("/" + "/".join(parts[1:])) or _ENDS.get(f"/{parts[-1]}")
    return None if endpoint is None else Match(endpoint, path)


def _by_pattern(method: str, path: str) -> Match | None:
    if method == "POST":
        called = _gemini(path) if ":" in path else None
        if called is not None:
            return called
        deployed = _DEPLOYMENT.fullmatch(path)
        if deployed is not None:
            return _deployment(deployed[1], deployed[2])
    elif method == "GET":
        listed = _LISTED_MODEL.fullmatch(path)
        if listed is not None:
            return _listed_model(listed)
    return native_match(method, path) or _with_id(method, path)


def _gemini(path: str) -> Match | None:
    call = _GEMINI_CALL.fullmatch(path)
    if call is None:
        return None
    version, place, publisher, kind, named, verb = call.groups()
    model = model_in_path(named)
    if verb in _RAW_VERBS and publisher:
        free = model == "count-tokens"
        reader = "none" if free else _PUBLISHER_READERS.get(publisher, "none")
        endpoint = Endpoint(verb, _GEMINI, reader, free=free)
        upstream = f"/{version or 'v1'}{place}/models/{named}:{verb}"
        return Match(endpoint, upstream, model, verb in _STREAMING_VERBS, _VERTEX)
    known = _GEMINI_VERBS.get(verb)
    if known is None:
        return None
    streamed = verb in _STREAMING_VERBS
    if place is None:
        return Match(known, f"/{version or 'v1beta'}/{kind}{named}:{verb}", model, streamed)
    upstream = f"/{version or 'v1beta1'}{place}/{kind}{named}:{verb}"
    return Match(known, upstream, model, streamed, kind=_VERTEX)


def _deployment(name: str, operation: str) -> Match | None:
    """Azure's older paths: the deployment stands for the model."""
    endpoint = _OPENAI_POST.get(operation)
    if endpoint is None:
        return None
    return Match(endpoint, operation, model_in_path(name), query_dropped=("api-version",))


def _listed_model(listed: re.Match[str]) -> Match:
    anthropic, _, named = listed.groups()
    model = model_in_path(named)
    if anthropic:
        return Match(ANTHROPIC_MODELS, f"/models/{named}", model)
    if listed[0].startswith(("/v1beta", "/google", "/gemini")):
        return Match(GEMINI_MODELS, f"/v1beta/models/{named}", model)
    return Match(MODELS, f"/models/{named}", model)


def _with_id(method: str, path: str) -> Match | None:
    prefix = _ANTHROPIC_PREFIX.match(path)
    if prefix is not None:
        return job_endpoints.anthropic_match(method, path[prefix.end() :])
    prefix = _OPENAI_PREFIX.match(path)
    if prefix is None:
        return job_endpoints.gemini_match(method, path)
    return job_endpoints.openai_match(method, path[prefix.end() :])
