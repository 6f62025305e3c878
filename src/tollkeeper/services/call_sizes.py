"""How much each call holds, before it is sent: worked out in a microsecond for most calls.

What calls of one way have in common (their prices, how long such replies usually are) is looked
up once and remembered. Calls whose cost follows from no text (pictures, speech, machines by the
hour) hold what such calls usually cost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from tollkeeper.domain.budgets import AMOUNT_MAX, Amounts
from tollkeeper.domain.holds import (
    MILLIONTHS,
    REPLY_TOKENS_FLOOR,
    Asked,
    Ceiling,
    Hold,
    Size,
    Usual,
)
from tollkeeper.domain.price_plan import PricePlan
from tollkeeper.domain.price_rules import base_of
from tollkeeper.services.estimates import INPUT_BYTES_PER_TOKEN
from tollkeeper.services.hold_sizes import UsualReplies, asked_of
from tollkeeper.services.model_habits import ModelHabits
from tollkeeper.wire.request_text import request_text

COST_FLOOR_NANOS: Final = 10_000_000
"""What a call holds at least whose cost follows from no text, until more is known: a cent."""

_CEILINGS_MAX: Final = 4_096
_LARGE_BYTES: Final = 32 << 10
_MEDIA: Final = (b";base64,", b'"base64"', b'"inlineData"', b'"inline_data"', b'"input_audio"')
_MEDIUM_TOKENS: Final = 1_600
"""What a picture is put down for: about the most that one of usual size comes to."""
_ALL_OF: Final = 64
_ONE_OF: Final = 16
_PER_THOUSAND: Final = 1_000
_BATCH: Final = "batch"
_CALL_IN_BATCH: Final = re.compile(rb'"custom_id"\s*:')
_CALL_IN_OPERATION: Final = re.compile(rb'"request"\s*:\s*\{')
_MODEL_IN_BATCH: Final = re.compile(rb'"model"\s*:\s*"([^"\\]{1,200})"')
_Rates = tuple[int, int, int, int]
"""A ``FlatPrice`` whose output costs nothing where there is none, and whose fee rounds up."""
_FREE: Final[_Rates] = (0, 0, 0, 1 << 40)
_COSTLESS: Final = Amounts(0, 0)
_LEFT_TO_PROVIDER: Final = frozenset({"auto", "standard_only"})


class PricePlans(Protocol):
    """The part of the price book that sizes need."""

    @property
    def by_the_hour(self) -> frozenset[str]: ...
    def plans(self, provider: str, model: str, at_us: int, tier: str = "") -> list[PricePlan]: ...


class CallKind(NamedTuple):
    """What calls of one way have in common, as far as it decides what they hold.

    ``costless`` ones are known to cost nothing, ``flat_rate`` ones are paid for otherwise.
    ``has_prompt`` and ``has_output`` say what of them is text. A ``batch`` is many calls, whose
    bill comes later.
    """

    price_provider: str
    model: str
    key_id: str
    tool: str
    tier: str
    costless: bool
    flat_rate: bool
    has_prompt: bool
    has_output: bool
    batch: bool = False


class _Priced(NamedTuple):
    """The prices of one model: of the tier that is asked for, and the dearest of all."""

    usual: Ceiling
    dearest: Ceiling
    since_us: int
    until_us: int


class HoldSizes:
    """What all calls of a gateway share: prices, and what was learned of usual replies."""

    def __init__(self, prices: PricePlans, habits: ModelHabits, usual: UsualReplies) -> None:
        self.habits = habits
        self.usual = usual
        self._prices = prices
        self._priced: dict[tuple[str, str, str], _Priced] = {}

    def use(self, prices: PricePlans) -> None:
        """Take over changed prices, for sizes that are made from now on."""
        self._prices = prices
        self._priced = {}

    def of(self, kind: CallKind) -> CallSizes:
        """Give what says how much calls of one kind hold."""
        return CallSizes(self, kind)

    def is_by_the_hour(self, price_provider: str) -> bool:
        """Tell whether it is a machine's time that is paid for."""
        return base_of(price_provider) in self._prices.by_the_hour

    def priced(self, kind: CallKind, at_us: int) -> _Priced:
        """Give the prices of a kind of call at a time."""
        tier = "" if kind.tier in _LEFT_TO_PROVIDER else kind.tier
        named = (kind.price_provider, kind.model, tier)
        found = self._priced.get(named)
        if found is None or not found.since_us <= at_us < found.until_us:
            plans = self._prices.plans(kind.price_provider, kind.model, at_us, tier)
            found = _Priced(
                Ceiling(plans[:1]),
                Ceiling(plans),
                max(plan.since_us for plan in plans),
                min(plan.until_us for plan in plans),
            )
            if len(self._priced) >= _CEILINGS_MAX:
                self._priced.clear()  # callers choose the names of models
            self._priced[named] = found
        return found


class CallSizes:
    """Says how much calls of one kind hold, and learns from those that ended.

    ``reason`` says why the last size that was asked for is unknown, "" where it is not.
    The call that ends when ``unlearned`` have ended is to be learned from: all at first, then
    some.
    """

    __slots__ = (
        *("_at_us", "_bytes_per_thousand", "_costs", "_flat", "_kind", "_learned", "_priced"),
        *("_replies", "_reply_tokens", "_sizes", "_until_us", "reason", "unlearned"),
    )

    def __init__(self, sizes: HoldSizes, kind: CallKind) -> None:
        self.reason = ""
        self._sizes = sizes
        self._kind = kind
        self._until_us = self._at_us = 0
        self._flat: _Rates | None = None
        self._learned, self.unlearned = 0, 1
        self._replies = sizes.usual.seen(kind.model, kind.key_id, kind.tool)
        self._costs = sizes.usual.costs_seen(kind.model, kind.key_id, kind.tool)
        self._look()

    def balanced(
        self,
        body: bytes,
        prompt_bytes: int,
        output_max: int | None,
        choices: int,
        units: Mapping[str, int],
        at_us: int,
    ) -> Hold:
        """Say what a call will usually come to.

        ``prompt_bytes`` is the size of its decoded body where that is a prompt, else 0.
        """
        if at_us >= self._until_us:
            self._look_up(at_us)
        flat = self._flat
        if flat is None or prompt_bytes > _LARGE_BYTES or units:
            return self._slowly(body, prompt_bytes, output_max, choices, units)
        output = self._reply_tokens
        if output_max is not None and output_max < output:
            output = output_max
        if choices > 1:
            output *= choices
        prompt = prompt_bytes * _PER_THOUSAND // self._bytes_per_thousand
        per_input, per_output, fee, prompt_max = flat
        if prompt > prompt_max:
            return self._slowly(body, prompt_bytes, output_max, choices, units)
        cost = fee + per_input * prompt + per_output * output
        return cost // MILLIONTHS, prompt + output, 1

    def strict(
        self,
        body: bytes,
        output_max: int | None,
        choices: int,
        units: Mapping[str, int],
        at_us: int,
    ) -> Amounts:
        """Say what a call can come to at most; None where that has no bound."""
        kind = self._kind
        self.reason = ""
        if kind.costless:
            return _COSTLESS
        if at_us >= self._until_us:
            self._look_up(at_us)
        asked = asked_of(body, output_max if kind.has_output else 0, choices, strictly=True)
        if not kind.has_prompt:
            asked = asked._replace(prompt_bytes=None)
        size = self._priced.dearest.strict(asked._replace(units=units))
        self.reason = size.reason
        if kind.flat_rate:
            return size.amounts._replace(usd_nanos=0)
        return size.amounts

    def why_unknown(self, at_us: int) -> str:
        """Say why a size is unknown, "" where it is not: the prices, or what was asked last."""
        if at_us >= self._until_us:
            self._look_up(at_us)
        return self.reason if self._kind.batch else self._priced.usual.reason or self.reason

    def learn(self, output_tokens: int, cost_nanos: int) -> None:
        """Take in a call that ended well."""
        self._learned += 1
        self.unlearned = 1 if self._learned < _ALL_OF else _ONE_OF
        for replies in self._replies:
            replies.add(output_tokens)
        if not self._kind.has_output:
            for costs in self._costs:
                costs.add(cost_nanos)
        self._look()

    # ------------------------------------------------------------------ looking up

    def _look(self) -> None:
        """See what is known of such calls by now."""
        kind, sizes = self._kind, self._sizes
        own, of_model = self._replies
        tokens = own.p95 if own.is_enough else max(own.p95, of_model.p95)
        self._reply_tokens = max(tokens, REPLY_TOKENS_FLOOR) if kind.has_output else 0
        learned = sizes.habits.bytes_per_token(kind.model) or INPUT_BYTES_PER_TOKEN
        self._bytes_per_thousand = max(int(learned * _PER_THOUSAND), _PER_THOUSAND)

    def _look_up(self, at_us: int) -> None:
        """Look up the prices that hold at a time."""
        kind = self._kind
        self._priced = self._sizes.priced(kind, at_us)
        self._at_us = at_us
        self._until_us = self._priced.until_us
        if kind.batch or kind.costless:
            self._flat = None
            return
        if kind.flat_rate:
            self._flat = _FREE
            return
        flat = self._priced.usual.flat()
        is_text = kind.has_prompt or kind.has_output
        if not is_text or (kind.has_output and flat is not None and flat.output is None):
            flat = None
        if flat is None:
            self._flat = None
            return
        fee = flat.fee + MILLIONTHS - 1  # so that a division gives whole nano-dollars, rounded up
        self._flat = (flat.input, flat.output or 0, fee, flat.prompt_max)

    def _slowly(
        self,
        body: bytes,
        prompt_bytes: int,
        output_max: int | None,
        choices: int,
        units: Mapping[str, int],
    ) -> Amounts:
        kind = self._kind
        self.reason = ""
        if kind.costless:
            return _COSTLESS
        if kind.batch:
            return self._of_batch(body)
        seen = 0
        if prompt_bytes > _LARGE_BYTES:
            prompt_bytes, seen = _without_media(body, prompt_bytes)
        usual = Usual(self._bytes_per_thousand / _PER_THOUSAND, self._reply_tokens)
        limit = output_max if kind.has_output else 0
        asked = Asked(prompt_bytes, None, seen * _MEDIUM_TOKENS, limit, choices, units)
        size = self._priced.usual.balanced(asked, usual)
        if kind.flat_rate:
            return Amounts(0, size.amounts.tokens or 0)
        is_text = kind.has_prompt or kind.has_output
        if not is_text or self._sizes.is_by_the_hour(kind.price_provider):
            size = self._by_what_such_calls_cost(size)
        self.reason = size.reason
        return size.amounts

    def _of_batch(self, body: bytes) -> Amounts:
        """Say what many calls in one body will come to; unknown where they stand elsewhere."""
        kind, sizes = self._kind, self._sizes
        count = max(len(_CALL_IN_BATCH.findall(body)), len(_CALL_IN_OPERATION.findall(body)))
        named = {name.decode("utf-8", "replace") for name in _MODEL_IN_BATCH.findall(body)}
        models = {kind.model} if kind.model else named
        if not (count and models):
            self.reason = "unbounded:prompt"
            return Amounts(None, None)
        prompt = len(body) * _PER_THOUSAND // self._bytes_per_thousand
        nanos = tokens = 0
        for model in models:
            usual = sizes.usual.usual(model, kind.key_id, kind.tool, 0)
            priced = sizes.priced(kind._replace(model=model, tier=_BATCH), self._at_us)
            if priced.usual.reason:
                priced = sizes.priced(kind._replace(model=model, tier=""), self._at_us)
            asked = Asked(None, prompt // count, output_max=None)
            one = priced.usual.balanced(asked, usual)
            if one.amounts.usd_nanos is None and not kind.flat_rate:
                self.reason = one.reason
                return Amounts(None, None)
            nanos = max(nanos, one.amounts.usd_nanos or 0)
            tokens = max(tokens, one.amounts.tokens or 0)
        most = min(nanos * count, AMOUNT_MAX)
        return Amounts(0 if kind.flat_rate else most, tokens * count)

    def _by_what_such_calls_cost(self, size: Size) -> Size:
        """Take what was learned, and at least what is known of this call."""
        if self._priced.usual.reason:
            return size
        own, of_model = self._costs
        learned = own.p95 if own.is_enough else max(own.p95, of_model.p95)
        nanos = max(size.amounts.usd_nanos or 0, learned, COST_FLOOR_NANOS)
        return Size(Amounts(min(nanos, AMOUNT_MAX), size.amounts.tokens or 0))


def _without_media(body: bytes, size_bytes: int) -> tuple[int, int]:
    """Give the bytes of a large prompt that are text, and count what is not."""
    if not any(mark in body for mark in _MEDIA):
        return size_bytes, 0
    text = request_text(body)
    if text is None:
        return size_bytes, 0
    written = sum(len(part.encode("utf-8", "replace")) for part in (text.text, text.tools))
    return min(written, size_bytes), text.unseen
