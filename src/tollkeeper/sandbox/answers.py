"""Which reply a request gets: the calls that the sandbox plays, and what it keeps for them."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from tollkeeper.domain.errors import BadRequest, Refused, UnknownRoute
from tollkeeper.sandbox import (
    anthropic_messages,
    gemini,
    openai_chat,
    openai_completions,
    openai_media,
    openai_responses,
    side_calls,
    vectors,
)
from tollkeeper.sandbox.asked import Asked, Json, read_object
from tollkeeper.sandbox.behaviour import ORDINARY, Behaviour
from tollkeeper.sandbox.draft import Draft, draft_of
from tollkeeper.sandbox.faulty_replies import instead_of_reply, with_fault
from tollkeeper.sandbox.form import Form, read_form
from tollkeeper.sandbox.openai_files import FileShelf, batches_reply, files_reply
from tollkeeper.sandbox.prompt_cache import CacheUse, PromptCache
from tollkeeper.sandbox.provider_errors import request_id_header
from tollkeeper.sandbox.reply import Identity, Reply, json_reply
from tollkeeper.wire import endpoints, refusals
from tollkeeper.wire.controls import Controls, read_controls
from tollkeeper.wire.credentials import HeaderLookup
from tollkeeper.wire.encodings import decode
from tollkeeper.wire.endpoints import Body, Match, body_kind

PLAIN_BYTES_MAX: Final = 128 << 20
_HASH_BYTES: Final = 20
_SIZING_ROUNDS: Final = 5
_CODE_ASSIST: Final = "code-assist"


class Question(NamedTuple):
    """One request, read whole."""

    match: Match
    method: str
    query: str
    body: bytes
    header: HeaderLookup
    behaviour: Behaviour = ORDINARY
    host: bytes = b""

    @property
    def content_type(self) -> bytes:
        """Give the media type of the body, as it was written."""
        return self.header(b"content-type") or b""


class _Call(NamedTuple):
    """A question with what every answer needs."""

    question: Question
    body: bytes
    identity: Identity
    headers: bytes

    @property
    def match(self) -> Match:
        return self.question.match

    def json(self) -> dict[str, Any]:
        return read_object(self.body)

    def controls(self) -> Controls:
        return read_controls(self.body, self.match.endpoint)

    def form(self) -> Form:
        return read_form(self.body, self.question.content_type)


class Answers:
    """Answers questions. Keeps files, batches and the prefixes of cached prompts."""

    def __init__(self) -> None:
        self._cache = PromptCache()
        self._files = FileShelf()

    def forget(self) -> None:
        """Forget what was kept."""
        self._cache.clear()
        self._files.clear()

    def reply(self, question: Question) -> Reply:
        """Give the reply to a request. Raises Refused when it cannot be read."""
        endpoint = question.match.endpoint
        fault = question.behaviour.fault
        identity = _identity(question)
        model = question.match.model
        instead = instead_of_reply(fault, endpoint, identity, model, question.host)
        if instead is not None:
            return instead
        headers = request_id_header(endpoint.dialect, identity)
        body = _decoded(question)
        answer = _ANSWERS.get(endpoint.name)
        if answer is None:
            raise UnknownRoute(f"the sandbox does not play {endpoint.name}")
        reply = answer(self, _Call(question, body, identity, headers))
        return with_fault(reply, fault, endpoint)

    # ------------------------------------------------------------------ generated text

    def chat(self, call: _Call) -> Reply:
        """Answer a chat completion."""
        body, controls = call.json(), call.controls()
        if not body.get("messages") and not body.get("prompt"):
            raise _missing("messages")
        return self._generated(call, openai_chat.read_chat(body, controls), openai_chat.chat_reply)

    def completions(self, call: _Call) -> Reply:
        """Answer a legacy completion."""
        asked = openai_completions.read_completions(call.json(), call.controls())
        return self._generated(call, asked, openai_completions.completions_reply)

    def responses(self, call: _Call) -> Reply:
        """Answer a call of the Responses API."""
        body, controls = call.json(), call.controls()
        if not body.get("input") and not body.get("previous_response_id"):
            raise _missing("input")
        asked = openai_responses.read_responses(body, controls)
        return self._generated(call, asked, openai_responses.responses_reply)

    def compact(self, call: _Call) -> Reply:
        """Answer a request to make a conversation shorter."""
        asked = openai_responses.read_responses(call.json(), call.controls())
        return self._generated(call, asked, openai_responses.compaction_reply)

    def messages(self, call: _Call) -> Reply:
        """Answer a call of the Messages API."""
        body, controls = call.json(), call.controls()
        if not body.get("messages"):
            raise _missing("messages")
        asked = anthropic_messages.read_messages(body, controls)
        return self._generated(call, asked, anthropic_messages.messages_reply)

    def generate(self, call: _Call) -> Reply:
        """Answer Google's generateContent and streamGenerateContent."""
        body, match = call.json(), call.match
        inner = body.get("request") if match.provider == _CODE_ASSIST else body
        if not isinstance(inner, dict) or not inner.get("contents"):
            raise _missing("contents")
        asked = gemini.read_generate(body, call.controls(), match.model, stream=match.streamed)
        as_events = "alt=sse" in call.question.query.split("&")

        def write(
            asked: Asked, draft: Draft, identity: Identity, style: Any, headers: bytes
        ) -> Reply:
            return gemini.generate_reply(
                asked,
                draft,
                identity,
                style,
                headers,
                wrapped=match.provider == _CODE_ASSIST,
                as_events=as_events,
            )

        return self._generated(call, asked, write)

    def _generated(
        self,
        call: _Call,
        asked: Asked,
        write: Callable[[Asked, Draft, Identity, Any, bytes], Reply],
    ) -> Reply:
        """Draft an answer and have it written, as often as it takes to get the size right."""
        if not asked.model:
            raise BadRequest("the request names no model", code="model_missing")
        behaviour = call.question.behaviour
        cached = bool(asked.caching.marks)
        cache = self._cache.use(asked.caching) if cached else CacheUse()
        draft = draft_of(asked, behaviour, cache)
        reply = write(asked, draft, call.identity, behaviour.usage, call.headers)
        text_bytes = len(draft.text.encode("utf-8", "replace"))
        for _ in range(_SIZING_ROUNDS if _may_be_sized(asked, behaviour, draft) else 0):
            missing = (behaviour.reply_bytes or 0) - len(reply.body)
            if not missing:
                break
            text_bytes = max(1, text_bytes + missing // asked.choices)
            draft = draft_of(asked, behaviour, cache, text_bytes)
            reply = write(asked, draft, call.identity, behaviour.usage, call.headers)
        return reply._replace(repeatable=not cached)

    # ------------------------------------------------------------------ counts and vectors

    def input_tokens(self, call: _Call) -> Reply:
        """Count the input of a call of the Responses API."""
        asked = openai_responses.read_responses(call.json(), call.controls())
        state = {"object": "response.input_tokens", "input_tokens": sum(asked.weight)}
        return json_reply(state, model=asked.model, headers=call.headers)

    def count_message_tokens(self, call: _Call) -> Reply:
        """Count the input of a call of the Messages API."""
        tokens = anthropic_messages.prompt_tokens(call.json())
        return json_reply({"input_tokens": tokens}, headers=call.headers)

    def count_gemini_tokens(self, call: _Call) -> Reply:
        """Count the input of a call of Google's."""
        weight = gemini.prompt_size(call.json()).weight
        details = [{"modality": "TEXT", "tokenCount": weight.text}]
        state = {"totalTokens": sum(weight), "promptTokensDetails": details}
        return json_reply(state, model=call.match.model, headers=call.headers)

    def embeddings(self, call: _Call) -> Reply:
        """Answer OpenAI's embeddings call."""
        model, style = call.controls().model, call.question.behaviour.usage
        return vectors.embeddings_reply(call.json(), model, style, call.headers)

    def gemini_embeddings(self, call: _Call) -> Reply:
        """Answer Google's embeddings calls."""
        model, style = call.match.model, call.question.behaviour.usage
        return vectors.gemini_embeddings_reply(call.json(), model, style, call.headers)

    # ------------------------------------------------------------------ media and files

    def images(self, call: _Call) -> Reply:
        """Make pictures."""
        form = self._form(call)
        style = call.question.behaviour.usage
        return openai_media.images_reply(form, form.text("model"), style, call.headers)

    def transcription(self, call: _Call) -> Reply:
        """Write down what is said."""
        form = self._form(call)
        style = call.question.behaviour.usage
        return openai_media.transcription_reply(form, form.text("model"), style, call.headers)

    def speech(self, call: _Call) -> Reply:
        """Speak a text."""
        model, style = call.controls().model, call.question.behaviour.usage
        return openai_media.speech_reply(call.json(), model, style, call.headers)

    def files(self, call: _Call) -> Reply:
        """Take, show or forget files."""
        method = call.question.method
        form = call.form() if method == "POST" else None
        rest = call.match.upstream_path.removeprefix("/files")
        return files_reply(self._files, method, rest, form, call.identity, call.headers)

    def batches(self, call: _Call) -> Reply:
        """Take or show batches."""
        method, rest = call.question.method, call.match.upstream_path.removeprefix("/batches")
        body: Json = call.json() if method == "POST" and not rest else {}

        def answer(path: str, line: bytes) -> tuple[int, bytes]:
            return self._batch_line(call.question, path, line)

        return batches_reply(self._files, method, rest, body, call.identity, call.headers, answer)

    def _batch_line(self, question: Question, path: str, body: bytes) -> tuple[int, bytes]:
        found = endpoints.match("POST", path)
        if found is None or found.endpoint.body is not Body.JSON or path.endswith("/batches"):
            return 404, b'{"error":{"message":"no such call in a batch"}}'
        headers = {b"content-type": b"application/json"}
        inner = Question(found, "POST", "", body, headers.get, question.behaviour)
        try:
            reply = self.reply(inner)
        except Refused as error:
            refused = refusals.refusal(error, found.endpoint)
            return refused.status, refused.body
        return reply.status, reply.body if not reply.streamed else b"null"

    def side_call(self, call: _Call) -> Reply:
        """Answer what costs nothing: listings, moderations, what tools ask before they work."""
        question = call.question
        return side_calls.side_call_reply(
            question.match, call.body, question.query, question.header, call.identity, call.headers
        )

    def _form(self, call: _Call) -> Form:
        if body_kind(call.match.endpoint, call.question.content_type) is Body.JSON:
            return Form(call.json())
        return call.form()


_ANSWERS: Final[dict[str, Callable[[Answers, _Call], Reply]]] = {
    "chat/completions": Answers.chat,
    "fim/completions": Answers.chat,
    "completions": Answers.completions,
    "responses": Answers.responses,
    "responses/compact": Answers.compact,
    "responses/input_tokens": Answers.input_tokens,
    "messages": Answers.messages,
    "messages/count_tokens": Answers.count_message_tokens,
    "generateContent": Answers.generate,
    "streamGenerateContent": Answers.generate,
    "countTokens": Answers.count_gemini_tokens,
    "embedContent": Answers.gemini_embeddings,
    "batchEmbedContents": Answers.gemini_embeddings,
    "embeddings": Answers.embeddings,
    "images/generations": Answers.images,
    "images/edits": Answers.images,
    "images/variations": Answers.images,
    "audio/transcriptions": Answers.transcription,
    "audio/translations": Answers.transcription,
    "audio/speech": Answers.speech,
    "files": Answers.files,
    "batches": Answers.batches,
    **dict.fromkeys(side_calls.NAMES, Answers.side_call),
}


def _identity(question: Question) -> Identity:
    digest = blake2b(question.match.upstream_path.encode(), digest_size=_HASH_BYTES)
    digest.update(b"\0" + question.body)
    return Identity(digest.hexdigest())


def _decoded(question: Question) -> bytes:
    encoding = (question.header(b"content-encoding") or b"").decode("latin-1")
    if not encoding:
        return question.body
    return decode(question.body, encoding, PLAIN_BYTES_MAX)


def _may_be_sized(asked: Asked, behaviour: Behaviour, draft: Draft) -> bool:
    """Tell whether the length of the text is ours to choose, to make the body so long."""
    free = behaviour.output_tokens is None and draft.tool is None and asked.schema is None
    return free and behaviour.reply_bytes is not None


def _missing(name: str) -> BadRequest:
    return BadRequest(f"the field {name!r} is missing", code="field_missing")
