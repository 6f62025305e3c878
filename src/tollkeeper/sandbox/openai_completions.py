"""Legacy completions, OpenAI's shape."""

from __future__ import annotations

from typing import Any

from tollkeeper.sandbox.asked import Asked, Json, last_text_of, size_of
from tollkeeper.sandbox.behaviour import UsageStyle
from tollkeeper.sandbox.counts import tokens_of_bytes
from tollkeeper.sandbox.draft import Draft
from tollkeeper.sandbox.openai_chat import DONE, chat_usage
from tollkeeper.sandbox.reply import CREATED_S, Identity, Reply, event, event_headers, json_reply
from tollkeeper.sandbox.stated_usage import is_stated_at_piece, put_usage, times_at_end
from tollkeeper.wire.controls import Controls

_DEFAULT_LIMIT = 16
"""What this API itself takes for the limit when the request names none."""


def read_completions(body: Json, controls: Controls) -> Asked:
    """Read a request. A prompt is a text, a list of texts, or lists of tokens."""
    prompt = body.get("prompt")
    prompts, tokens = prompts_in(prompt)
    limit = controls.max_output_tokens
    return Asked(
        model=controls.model,
        last_text=last_text_of(prompt if isinstance(prompt, str) else _last_string(prompt)),
        weight=size_of(prompt if not tokens else None).weight._replace(
            **({"text": tokens} if tokens else {})
        ),
        stream=controls.stream,
        include_usage=controls.asks_for_usage,
        choices=controls.choices * prompts,
        max_output_tokens=_DEFAULT_LIMIT if limit is None else limit,
    )


def prompts_in(prompt: Any) -> tuple[int, int]:
    """Count the prompts, and the tokens of those that are lists of tokens."""
    if not isinstance(prompt, list) or not prompt:
        return 1, 0
    if all(isinstance(token, int) for token in prompt):
        return 1, len(prompt)
    lists = [item for item in prompt if isinstance(item, list)]
    texts = sum(len(item.encode("utf-8", "replace")) for item in prompt if isinstance(item, str))
    if lists:
        return len(prompt), sum(len(item) for item in lists) + tokens_of_bytes(texts)
    return len(prompt), 0


def completions_reply(
    asked: Asked, draft: Draft, identity: Identity, style: UsageStyle, headers: bytes
) -> Reply:
    """Give the reply as a stream or as one object."""
    reason = "length" if draft.cut else "stop"
    frame: dict[str, Any] = {
        "id": identity.id("cmpl-"),
        "object": "text_completion",
        "created": CREATED_S,
        "model": asked.model,
    }
    if not asked.stream:
        whole = frame | {"choices": _choices(asked, draft.text, reason)}
        put_usage(whole, chat_usage(draft.counts), style)
        return json_reply(whole, counts=draft.counts, model=asked.model, headers=headers)
    if asked.include_usage:
        frame["usage"] = None
    pieces = []
    for number, text in enumerate(draft.pieces, start=1):
        part = frame | {"choices": _choices(asked, text, None)}
        if is_stated_at_piece(style, number):
            counts = draft.counts if style is UsageStyle.WRONG_CHUNK else draft.counts_after(number)
            part = put_usage(part, chat_usage(counts), style)
        pieces.append(event(part))
    last = event(frame | {"choices": _choices(asked, "", reason)})
    if asked.include_usage or style is UsageStyle.CUMULATIVE:
        extra = put_usage(frame | {"choices": []}, chat_usage(draft.counts), style)
        last += event(extra) * times_at_end(style)
    return Reply(
        200,
        event_headers(headers),
        tuple(pieces),
        closing=last,
        end=DONE,
        streamed=True,
        counts=draft.counts,
        output_after=draft.output_after,
        model=asked.model,
    )


def _choices(asked: Asked, text: str, reason: str | None) -> list[dict[str, Any]]:
    return [
        {"text": text, "index": index, "logprobs": None, "finish_reason": reason}
        for index in range(asked.choices)
    ]


def _last_string(prompt: Any) -> str:
    texts = [item for item in prompt if isinstance(item, str)] if isinstance(prompt, list) else []
    return texts[-1] if texts else ""
