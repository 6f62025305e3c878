"""How much a call will hold: what can be known of its request, and what such replies usually are.

A strict hold needs a bound of the prompt. Its bytes are one only where all that the model reads
stands in them: not where a picture, a stored file or conversation, or a tool that the provider
runs brings in more.
"""

from __future__ import annotations

import re
from collections import deque
from math import ceil
from pathlib import Path
from typing import Final

import msgspec

from tollkeeper.domain.budgets import AMOUNT_MAX
from tollkeeper.domain.holds import REPLY_TOKENS_FLOOR, Asked, Usual
from tollkeeper.services.estimates import INPUT_BYTES_PER_TOKEN
from tollkeeper.wire.request_text import request_text

_FROM_ELSEWHERE: Final = re.compile(
    rb'"(?:previous_response_id|conversation|conversation_id|cachedContent|cached_content'
    rb"|container|mcp_servers|mcp|file_id|fileUri|file_uri|item_reference|vector_store_ids"
    rb'|web_search_options|search_parameters|plugins|server_url|background|prompt_id)"'
    rb'|"prompt"\s*:\s*\{'
)
_REMEMBERED: Final = 100
_ENOUGH: Final = 20
_PERCENT: Final = 95
_KINDS_MAX: Final = 10_000
_RECOUNT_EVERY: Final = 8


def is_self_contained(body: bytes) -> bool:
    """Tell whether all that a model will read stands in a request's body.

    Reads all of the body, so it is asked only where a budget holds strictly. A field that is
    there and empty counts as if it brought something in.
    """
    if _FROM_ELSEWHERE.search(body):
        return False
    text = request_text(body)
    return text is not None and not text.unseen


_Kind = tuple[str, str, str]  # model, key and tool


class UsualReplies:
    """How long replies are, by (model, key, tool), from calls that were measured.

    The p95 of the last hundred, by nearest rank. A caller with few calls so far gets that of
    the model; a model with few, the longest that was seen, and at least ``REPLY_TOKENS_FLOOR``.
    """

    def __init__(self) -> None:
        self._seen: dict[_Kind, Replies] = {}
        self._costs: dict[_Kind, Replies] = {}

    def learn(self, model: str, key_id: str, tool: str, tokens: int) -> None:
        """Take in a reply's length."""
        for replies in self.seen(model, key_id, tool):
            replies.add(tokens)

    def seen(self, model: str, key_id: str, tool: str) -> tuple[Replies, Replies]:
        """Give the lengths of a caller's replies, and of all of the model's."""
        return _of(self._seen, (model, key_id, tool)), _of(self._seen, (model, "", ""))

    def costs_seen(self, model: str, key_id: str, tool: str) -> tuple[Replies, Replies]:
        """Give what a caller's calls cost in nano-dollars, and all of the model's."""
        return _of(self._costs, (model, key_id, tool)), _of(self._costs, (model, "", ""))

    def save(self, path: Path) -> None:
        """Write what was learned, for this user alone. Raises OSError."""
        saved = _Saved(
            *(
                [(kind, seen.last) for kind, seen in memory.items() if seen.count]
                for memory in (self._seen, self._costs)
            )
        )
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_bytes(msgspec.json.encode(saved))
        fresh.replace(path)

    @classmethod
    def load(cls, path: Path) -> UsualReplies:
        """Read what was learned before; nothing where there is no such file, or it is damaged."""
        usual = cls()
        try:
            saved = msgspec.json.decode(path.read_bytes(), type=_Saved)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return usual
        for memory, kept in ((usual._seen, saved.replies), (usual._costs, saved.costs)):
            for kind, last in kept[:_KINDS_MAX]:
                for figure in last[-_REMEMBERED:]:
                    _of(memory, kind).add(min(max(figure, 0), AMOUNT_MAX))
        return usual

    def usual(self, model: str, key_id: str, tool: str, bytes_per_token: float) -> Usual:
        """Say what to expect; ``bytes_per_token`` is what was learned of prompts (0: nothing)."""
        own = self._seen.get((model, key_id, tool))
        if own is None or own.count < _ENOUGH:
            of_model = self._seen.get((model, "", ""))
            tokens = max(own.p95 if own else 0, of_model.p95 if of_model else 0)
        else:
            tokens = own.p95
        return Usual(bytes_per_token or INPUT_BYTES_PER_TOKEN, max(tokens, REPLY_TOKENS_FLOOR))


class _Saved(msgspec.Struct):
    """What is kept over a restart: model, key and tool, and the last figures."""

    replies: list[tuple[_Kind, list[int]]] = []
    costs: list[tuple[_Kind, list[int]]] = []


class Replies:
    """The last hundred of some figure, and their p95."""

    __slots__ = ("_last", "_since", "p95")

    def __init__(self) -> None:
        self._last: deque[int] = deque(maxlen=_REMEMBERED)
        self._since = 0
        self.p95 = 0

    @property
    def last(self) -> list[int]:
        """Give what is remembered, the oldest first."""
        return list(self._last)

    @property
    def count(self) -> int:
        """Count what is remembered."""
        return len(self._last)

    @property
    def is_enough(self) -> bool:
        """Tell whether there is enough of it to go by."""
        return len(self._last) >= _ENOUGH

    def add(self, tokens: int) -> None:
        """Take in one more."""
        last = self._last
        last.append(tokens)
        count = len(last)
        if count < _ENOUGH:
            self.p95 = max(self.p95, tokens)
            return
        self._since += 1
        if self._since >= _RECOUNT_EVERY or count == _ENOUGH:
            self._since = 0
            ordered = sorted(last)
            self.p95 = ordered[ceil(len(ordered) * _PERCENT / 100) - 1]


def _of(memory: dict[_Kind, Replies], kind: _Kind) -> Replies:
    found = memory.get(kind)
    if found is None:
        if len(memory) >= _KINDS_MAX:
            del memory[next(iter(memory))]
        found = memory[kind] = Replies()
    return found


def asked_of(body: bytes, output_max: int | None, choices: int, *, strictly: bool) -> Asked:
    """Give what is known of a call; ``output_max`` is its own limit or its model's."""
    bounded = not strictly or is_self_contained(body)
    return Asked(len(body) if bounded else None, output_max=output_max, choices=choices)
