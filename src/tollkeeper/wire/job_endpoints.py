"""The calls of work that is begun now and billed later: stored responses, batches, their files,
interactions, assistants. Looking at it is free; its bills stand in what is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tollkeeper.domain.routing import Dialect
from tollkeeper.wire.background_videos import job_name as video_name
from tollkeeper.wire.batches import file_name, job_name
from tollkeeper.wire.endpoint_types import Body, Endpoint, Match

_OPENAI: Final = Dialect.OPENAI
_ANTHROPIC: Final = Dialect.ANTHROPIC
_GEMINI: Final = Dialect.GEMINI
_NONE, _OPAQUE = Body.NONE, Body.OPAQUE
_GET: Final = frozenset({"GET"})
_POST: Final = frozenset({"POST"})
_DELETE: Final = frozenset({"DELETE"})
_ANY: Final = _GET | _POST | _DELETE

# Retrieving a stored response repeats the usage of the call that made it; only what ran in the
# background is billed by it.
_STORED: Final = Endpoint("responses/stored", _OPENAI, "openai_stored", _NONE, free=True)
_FILES: Final = Endpoint("files", _OPENAI, body=_OPAQUE, free=True)
_UPLOADS: Final = Endpoint("uploads", _OPENAI, body=_OPAQUE, free=True)
_RESULTS: Final = Endpoint("files", _OPENAI, "batch_results", _NONE, free=True)
_NEW_BATCH: Final = Endpoint("batches", _OPENAI, "new_batch", unnamed=True)
_BATCH: Final = Endpoint("batches", _OPENAI, "batch", _NONE, free=True)
_BATCH_PAGE: Final = Endpoint("batches", _OPENAI, "batch_page", _NONE, free=True)
_BATCH_LIST: Final = Endpoint("batches", _OPENAI, body=_NONE, free=True)
_NEW_VIDEO: Final = Endpoint("videos", _OPENAI, "new_video", Body.MULTIPART, unnamed=True)
_VIDEO: Final = Endpoint("videos/stored", _OPENAI, "stored_video", _NONE, free=True)
_NEW_RUN: Final = Endpoint("threads/runs", _OPENAI, "runs", unnamed=True)
_RUN: Final = Endpoint("threads/runs/stored", _OPENAI, "stored_runs", _NONE, free=True)
_GOING_RUN: Final = _RUN._replace(body=Body.JSON)
_ASSISTANTS: Final = Endpoint("assistants", _OPENAI, body=_OPAQUE, free=True)
_LOOKS_AT_ASSISTANTS: Final = _ASSISTANTS._replace(body=_NONE)
_MISTRAL: Final = "mistral"
_XAI: Final = "xai"

OPENAI_POST: Final[Mapping[str, Endpoint]] = {
    "/files": _FILES,
    "/uploads": _UPLOADS,
    "/batches": _NEW_BATCH,
    "/videos": _NEW_VIDEO,
    "/videos/generations": _NEW_VIDEO._replace(body=Body.JSON),
    "/threads/runs": _NEW_RUN,
    "/threads": _ASSISTANTS,
    "/assistants": _ASSISTANTS,
}
OPENAI_GET: Final[Mapping[str, Endpoint]] = {
    "/files": _FILES._replace(body=_NONE),
    "/batches": _BATCH_LIST,
    "/assistants": _LOOKS_AT_ASSISTANTS,
}
MISTRAL_POST: Final[Mapping[str, Endpoint]] = {"/batch/jobs": _NEW_BATCH}
ANTHROPIC_POST: Final[Mapping[str, Endpoint]] = {
    "/messages/batches": Endpoint("messages/batches", _ANTHROPIC, "new_batch", unnamed=True)
}
ANTHROPIC_GET: Final[Mapping[str, Endpoint]] = {
    "/messages/batches": Endpoint("messages/batches", _ANTHROPIC, body=_NONE, free=True)
}
GEMINI_VERBS: Final = ("batchGenerateContent", "asyncBatchEmbedContent")
"""What a model can be asked to do later."""

_ID: Final = r"([A-Za-z0-9][A-Za-z0-9._:-]{0,255})"
_Rule = tuple[re.Pattern[str], frozenset[str], Endpoint, str]


def _rules(*rows: tuple[str, frozenset[str], Endpoint, str]) -> tuple[_Rule, ...]:
    return tuple(
        (re.compile(pattern), methods, endpoint, kind) for pattern, methods, endpoint, kind in rows
    )


_OPENAI_PATHS: Final = _rules(
    (rf"/responses/{_ID}", _GET, _STORED, ""),
    (rf"/responses/{_ID}/input_items", _GET, _STORED._replace(reader="none"), ""),
    (rf"/responses/{_ID}", _DELETE, _STORED._replace(reader="none"), ""),
    (rf"/responses/{_ID}/cancel", _POST, _STORED._replace(body=_OPAQUE), ""),
    (rf"/files/{_ID}/content", _GET, _RESULTS, ""),
    (rf"/files/{_ID}", _GET | _DELETE, _FILES._replace(body=_NONE), ""),
    (rf"/uploads/{_ID}/(?:parts|complete|cancel)", _POST, _UPLOADS, ""),
    (rf"/batches/{_ID}", _GET, _BATCH, ""),
    (rf"/batches/{_ID}/cancel", _POST, _BATCH._replace(body=_OPAQUE), ""),
    (rf"/batches/{_ID}/results", _GET, _BATCH_PAGE, _XAI),
    (r"/batch/jobs", _GET, _BATCH_LIST, _MISTRAL),
    (rf"/batch/jobs/{_ID}", _GET, _BATCH, _MISTRAL),
    (rf"/batch/jobs/{_ID}/cancel", _POST, _BATCH._replace(body=_OPAQUE), _MISTRAL),
    (rf"/videos/{_ID}", _GET, _VIDEO, ""),
    (rf"/videos/{_ID}", _DELETE, _VIDEO._replace(reader="none"), ""),
    (rf"/videos/{_ID}/content", _GET, _VIDEO._replace(reader="none"), ""),
    (rf"/videos/{_ID}/remix", _POST, _NEW_VIDEO._replace(body=Body.JSON), ""),
    (rf"/threads/{_ID}/runs", _POST, _NEW_RUN, ""),
    (rf"/threads/{_ID}/runs/{_ID}", _GET, _RUN, ""),
    (rf"/threads/{_ID}/runs/{_ID}/(?:cancel|submit_tool_outputs)", _POST, _GOING_RUN, ""),
    (rf"/threads/{_ID}(?:/(?:messages|runs)(?:/{_ID})?)?", _POST, _ASSISTANTS, ""),
    (
        rf"/threads/{_ID}(?:/(?:messages|runs)(?:/{_ID}(?:/steps(?:/{_ID})?)?)?)?",
        _GET | _DELETE,
        _LOOKS_AT_ASSISTANTS,
        "",
    ),
    (rf"/assistants/{_ID}", _POST, _ASSISTANTS, ""),
    (rf"/assistants/{_ID}", _GET | _DELETE, _LOOKS_AT_ASSISTANTS, ""),
)
_MESSAGE_BATCH: Final = re.compile(rf"/messages/batches/{_ID}(?:/(results|cancel))?")
_MESSAGE_RESULTS: Final = Endpoint("messages/batches", _ANTHROPIC, "batch_results", _NONE, True)
_MESSAGE_STATE: Final = Endpoint("messages/batches", _ANTHROPIC, "batch", _OPAQUE, free=True)

_GEMINI_PATH: Final = re.compile(
    r"(?:/google|/gemini)?(?:/v1beta(?=/v1))?/(v1beta|v1beta1|v1alpha)"
    r"(/projects/[^/]+/locations/[^/]+)?"
    r"/(interactions|batches|files|cachedContents|operations)"
    r"(?:/([A-Za-z0-9][A-Za-z0-9._-]{0,511})(?:[:/](cancel))?)?"
)
_GEMINI_DOWNLOAD: Final = re.compile(rf"/download/(v1beta|v1alpha)/(files/{_ID}):download")
_INTERACTIONS: Final = Endpoint("interactions", _GEMINI, "interactions", unnamed=True)
_STORED_INTERACTION: Final = Endpoint(
    "interactions/stored", _GEMINI, "stored_interactions", _NONE, free=True
)
_OPERATION: Final = Endpoint("batches", _GEMINI, "operation", _NONE, free=True)
_GEMINI_FILES: Final = Endpoint("files", _GEMINI, body=_NONE, free=True)
_GEMINI_RESULTS: Final = Endpoint("files", _GEMINI, "batch_results", _NONE, free=True)
_NEW_CACHE: Final = Endpoint("cachedContents", _GEMINI, "gemini_cache", unnamed=True)
_CACHE: Final = Endpoint("cachedContents", _GEMINI, body=_NONE, free=True)
_VERTEX: Final = "vertex"


def openai_match(method: str, rest: str) -> Match | None:
    """Recognise a path with an id, without its prefix, of OpenAI and those who copy it."""
    for pattern, methods, endpoint, kind in _OPENAI_PATHS:
        found = pattern.fullmatch(rest) if method in methods else None
        if found is not None:
            job = ""
            if endpoint is _RESULTS:
                job = file_name(found[1])
            elif endpoint is _BATCH_PAGE:
                job = job_name(found[1])
            elif endpoint is _VIDEO:
                job = video_name(found[1])
            return Match(endpoint, rest, kind=kind, job=job)
    return None


def anthropic_match(method: str, rest: str) -> Match | None:
    """Recognise a path with the id of a batch of messages, without its prefix."""
    batch = _MESSAGE_BATCH.fullmatch(rest)
    if batch is None or (method == "POST") != (batch[2] == "cancel"):
        return None
    if method == "GET" and batch[2] == "results":
        return Match(_MESSAGE_RESULTS, rest, job=job_name(batch[1]))
    if method == "GET":
        return Match(_MESSAGE_STATE._replace(body=_NONE), rest, job=job_name(batch[1]))
    return Match(_MESSAGE_STATE, rest) if method in _ANY else None


def gemini_match(method: str, path: str) -> Match | None:
    """Recognise what of Gemini's API names no model in its path."""
    download = _GEMINI_DOWNLOAD.fullmatch(path) if method == "GET" else None
    if download is not None:
        return Match(_GEMINI_RESULTS, path, job=file_name(download[2]))
    found = _GEMINI_PATH.fullmatch(path) if method in _ANY | {"PATCH"} else None
    if found is None:
        return None
    version, place, family, identifier, verb = found.groups()
    endpoint = _gemini_endpoint(method, family, identifier, verb)
    if endpoint is None:
        return None
    upstream = f"/{version}" + path[found.end(1) :]
    return Match(endpoint, upstream, kind=_VERTEX if place else "")


def _gemini_endpoint(
    method: str, family: str, identifier: str | None, verb: str | None
) -> Endpoint | None:
    if family == "interactions":
        if method == "POST" and not identifier:
            return _INTERACTIONS
        readable = method == "GET" and identifier
        endpoint = _STORED_INTERACTION if readable or verb else None
        endpoint = endpoint or _STORED_INTERACTION._replace(reader="none")
    elif family in {"batches", "operations"}:
        endpoint = _OPERATION if identifier else _OPERATION._replace(reader="none")
    elif family == "cachedContents":
        if method == "POST" and not identifier:
            return _NEW_CACHE
        endpoint = _CACHE
    else:
        endpoint = _GEMINI_FILES
    if method == "POST" and not verb:
        return None
    return endpoint._replace(body=_OPAQUE) if method in {"POST", "PATCH"} else endpoint
