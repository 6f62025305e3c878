"""Holds: how much is set aside for a call before it is sent, and how a hold may end.

A *strict* hold is what the call can cost at most: every token of the prompt at the dearest
price that any of it may have, and the longest reply that was asked for. A *balanced* one is
what such calls usually cost, because the longest reply of an agent is far from what it says.
What no bound is known for has no strict hold: unknown, with a reason, never a guess.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Final, NamedTuple

from tollkeeper.domain import usage as u
from tollkeeper.domain.budgets import AMOUNT_MAX, Amounts
from tollkeeper.domain.money import PRICE_UNITS_PER_NANO
from tollkeeper.domain.price_plan import PricePlan

Hold = tuple[int | None, ...]
"""What a call holds, in the order of ``UNITS``: ``Amounts`` or a plain tuple, which is made in a
quarter of the time. A strict one may stand behind a balanced one."""

UNPRICED: Final = "budget_unpriced"
"""The code of a refusal for a call of unknown cost under a hard budget in USD."""

REPLY_TOKENS_FLOOR: Final = 256
"""A balanced hold is for no shorter reply than this, whatever was seen so far."""


HIDDEN_TOKENS: Final = 1_024
"""What providers put before a prompt unseen, as for its tools: at most, of 4,000 recorded."""


class HoldState(enum.StrEnum):
    """Where a hold is. The last three are ends."""

    HELD = "held"  # the money is set aside; no byte has gone to the provider
    SENT = "sent"  # bytes have gone: it will be paid for, whatever becomes of the gateway
    POSTED = "posted"  # what it cost is known
    VOIDED = "voided"  # it never reached the provider
    ESTIMATED = "estimated"  # it was sent, and nobody said what it cost

    __hash__ = str.__hash__


NEXT: Final[Mapping[HoldState, frozenset[HoldState]]] = {
    HoldState.HELD: frozenset({HoldState.SENT, HoldState.VOIDED}),
    HoldState.SENT: frozenset({HoldState.POSTED, HoldState.ESTIMATED}),
    HoldState.POSTED: frozenset(),
    HoldState.VOIDED: frozenset(),
    HoldState.ESTIMATED: frozenset(),
}
"""What may follow on each state. Each hold comes to exactly one end."""

ENDS: Final = frozenset(state for state, following in NEXT.items() if not following)


def follow(state: HoldState, to: HoldState) -> HoldState:
    """Move a hold on. Raises ValueError for a step that must never happen."""
    if to not in NEXT[state]:
        raise ValueError(f"a hold that is {state} cannot become {to}")
    return to


def after_crash(state: HoldState) -> HoldState:
    """Say what becomes of a hold whose gateway died: what was sent is never voided."""
    if state in ENDS:
        return state
    return HoldState.VOIDED if state is HoldState.HELD else HoldState.ESTIMATED


class Asked(NamedTuple):
    """What is known of a call before it is sent.

    ``prompt_bytes`` is the size of its request, None where it points to content that is kept
    elsewhere; ``prompt_tokens`` is their exact or over-counted number where there is one.
    ``unseen_tokens`` are pictures and the like, whose size in bytes says nothing.
    ``output_max`` is the longest reply that it allows (its own limit, or the model's), None
    where none is known; ``choices`` how many replies. ``units`` are the things billed by the
    piece that it may use, each with the most there can be, None where it is not bounded.
    """

    prompt_bytes: int | None
    prompt_tokens: int | None = None
    unseen_tokens: int = 0
    output_max: int | None = None
    choices: int = 1
    units: Mapping[str, int | None] = u.NO_QUANTITIES


class Size(NamedTuple):
    """How much to hold; ``reason`` says why an amount is not known, "" where all are."""

    amounts: Amounts
    reason: str = ""


class Usual(NamedTuple):
    """What such calls usually are: bytes of a request for a token, and tokens of a reply.

    Less than one byte for a token means that nothing is known: then it is one.
    """

    bytes_per_token: float
    reply_tokens: int


class FlatPrice(NamedTuple):
    """What a token costs in prompts of up to ``prompt_max`` tokens, in millionths of a nano-dollar.

    Rounded up, so that a sum is never less than the exact one. ``output`` is None where the
    model gives no tokens.
    """

    input: int
    output: int | None
    fee: int
    prompt_max: int


_SHORT_TOKENS_MAX: Final = 10_000_000
MILLIONTHS: Final = 1_000_000
"""So many of a ``FlatPrice`` are a nano-dollar."""


class Ceiling:
    """The dearest prices that one model may be billed at: of all its plans that may apply.

    Those are the plan that was asked for and one for each tier or speed that the provider
    may serve instead. Weights are price units for one piece, by long-context segment.
    """

    def __init__(self, plans: Sequence[PricePlan]) -> None:
        self.reason = "" if plans else "unknown_model"
        for plan in plans:
            self.reason = self.reason or plan.reason
        self._steps = tuple(_steps(plans)) if not self.reason else ()

    def flat(self) -> FlatPrice | None:
        """Give the prices of short prompts, for whoever has to be quick; None without any."""
        if not self._steps:
            return None
        _, step = self._steps[0]
        if step.input is None:
            return None
        output = None if step.output is None else _millionths(step.output)
        # Far below what an amount may be: nobody has to look at the sum.
        prompt_max = self._steps[1][0] if len(self._steps) > 1 else _SHORT_TOKENS_MAX
        return FlatPrice(_millionths(step.input), output, _millionths(step.fee), prompt_max)

    def strict(self, asked: Asked) -> Size:
        """Give what a call can come to at most; unknown where something has no bound."""
        if asked.prompt_tokens is not None:
            prompt: int | None = asked.prompt_tokens + asked.unseen_tokens
        elif asked.prompt_bytes is not None:
            # No token is shorter than a byte; what a provider says to the model comes on top.
            prompt = asked.prompt_bytes + asked.unseen_tokens + HIDDEN_TOKENS
        else:
            prompt = None
        output = None if asked.output_max is None else asked.output_max * asked.choices
        tokens = None if prompt is None or output is None else prompt + output
        reason = self.reason or _unbounded(asked, prompt, output)
        if reason or prompt is None or output is None:
            return Size(Amounts(None, tokens), reason)
        return self._size(prompt, output, asked.units)

    def balanced(self, asked: Asked, usual: Usual) -> Size:
        """Give what a call will usually come to, and never more than it can come to at most."""
        if asked.prompt_tokens is not None:
            prompt = asked.prompt_tokens
        else:
            prompt = ceil((asked.prompt_bytes or 0) / max(usual.bytes_per_token, 1))
        prompt += asked.unseen_tokens
        output = max(usual.reply_tokens, REPLY_TOKENS_FLOOR) * asked.choices
        if asked.output_max is not None:
            output = min(output, asked.output_max * asked.choices)
        units = {name: 1 if most is None else most for name, most in asked.units.items()}
        if self.reason:
            return Size(Amounts(None, prompt + output), self.reason)
        return self._size(prompt, output, units)

    def _size(self, prompt: int, output: int, units: Mapping[str, int | None]) -> Size:
        tokens = prompt + output
        dearest = 0
        for threshold, step in self._steps:
            if threshold >= max(prompt, 0):
                break  # no prompt as long is sent here
            if prompt and step.input is None:
                return Size(Amounts(None, tokens), f"unknown_dimension:{u.INPUT}")
            if output and step.output is None:
                return Size(Amounts(None, tokens), f"unknown_dimension:{u.OUTPUT}")
            total = step.fee + (step.input or 0) * prompt + (step.output or 0) * output
            for name, most in units.items():
                if name not in step.units:
                    if name in u.MEASURES:
                        continue
                    return Size(Amounts(None, tokens), f"unknown_dimension:{name}")
                total += step.units[name] * (most or 0)
            dearest = max(dearest, total)
        nanos = -(-dearest // PRICE_UNITS_PER_NANO)
        if max(nanos, tokens) > AMOUNT_MAX:
            return Size(Amounts(None, None), "unbounded:size")
        return Size(Amounts(nanos, tokens))


class _Step(NamedTuple):
    """The dearest prices for prompts above a threshold. None where there is no price."""

    input: int | None
    output: int | None
    units: Mapping[str, int]
    fee: int


def _millionths(price_units: int) -> int:
    return -(-price_units * MILLIONTHS // PRICE_UNITS_PER_NANO)


def _steps(plans: Sequence[PricePlan]) -> Iterable[tuple[int, _Step]]:
    """Give, for growing thresholds, the dearest prices of all plans above each."""
    for threshold in sorted({-1, *(edge for plan in plans for edge in plan.thresholds)}):
        tables = [_weights_above(plan, threshold) for plan in plans]
        names = {name for table in tables for name in table}
        top = {name: max(table.get(name, 0) for table in tables) for name in names}
        yield (
            threshold,
            _Step(
                max((top[name] for name in u.INPUT_TOKENS if name in top), default=None),
                max((top[name] for name in u.OUTPUT_TOKENS if name in top), default=None),
                {name: price for name, price in top.items() if name in u.UNITS},
                max(plan.fee * _scale(plan) for plan in plans),
            ),
        )


def _weights_above(plan: PricePlan, threshold: int) -> dict[str, int]:
    segment = sum(1 for edge in plan.thresholds if edge <= threshold)
    scale = _scale(plan)
    return {name: weight * scale for name, weight in plan.weights[segment].items()}


def _scale(plan: PricePlan) -> int:
    return PRICE_UNITS_PER_NANO // plan.per_nano


def _unbounded(asked: Asked, prompt: int | None, output: int | None) -> str:
    if prompt is None:
        return "unbounded:prompt"
    if output is None:
        return "unbounded:output"
    for name, most in asked.units.items():
        if most is None:
            return f"unbounded:{name}"
    return ""
