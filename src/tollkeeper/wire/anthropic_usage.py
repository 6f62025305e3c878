"""Anthropic's usage object: what each of its counts means and who is billed for it.

Cache reads and writes stand beside the input tokens, not within them; thinking is within
the output. ``iterations`` lists what one call did in several steps: the top-level counts
are the sum of its "message" steps only, so compaction and advice (by another model) come on
top. After a fallback they are the fallback model's; a refused attempt that produced nothing
is not billed. Source: recorded replies, and platform.claude.com on refusals and fallback.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tollkeeper.domain import usage as u
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.anthropic_shapes import Lifetimes, MessageUsage, Step
from tollkeeper.wire.lenient_json import Shape, compact_text
from tollkeeper.wire.token_counts import CONTRADICTS_TOTAL, MISSING_COUNT, PARTS_EXCEED_WHOLE

_MESSAGE: Final = "message"
_FALLBACK: Final = "fallback_message"
_LONG_CONTEXT_TOKENS: Final = 100_000
"""No model has a price for long prompts that starts below this. Steps whose prompts are
smaller together than that need not be priced one by one."""


_USAGE: Final = Shape(MessageUsage)
_NO_LIFETIMES: Final = Lifetimes()


def anthropic_usage(raw: msgspec.Raw | bytes, model: str, *, billed: bool = True) -> Usage:
    """Read a usage object. A reply that is not ``billed`` (a refusal) keeps no quantities."""
    counts, fault = _USAGE.read(raw)
    text = compact_text(raw)
    if counts is None:
        return Usage(model=model, fault=fault, raw=text)
    if not billed:
        return _served(counts, {}, model, raw=text)
    if not counts.iterations and counts.server_tool_use is None:  # the usual reply
        quantities, contradiction = _quantities(counts, _thinking_tokens(counts))
        return _served(counts, quantities, model, fault=fault or contradiction, raw=text)
    steps = _billed_steps(counts.iterations or [])
    own = [step for step in steps if step.type in {_MESSAGE, _FALLBACK}]
    others = [step for step in steps if step.type not in {_MESSAGE, _FALLBACK}]
    if own and own[-1].type == _FALLBACK:
        model = own[-1].model or model
    if not fault and own and not _adds_up(counts, own):
        fault = CONTRADICTS_TOTAL
    first: Step = counts
    if len(own) > 1 and _prompt_tokens(counts) > _LONG_CONTEXT_TOKENS:
        first, others = own[0], own[1:] + others
    quantities, contradiction = _quantities(first, _thinking_tokens(counts))
    tools = counts.server_tool_use
    if tools is not None and tools.web_search_requests:
        quantities[u.WEB_SEARCHES] = tools.web_search_requests
    components = []
    for step in others:
        parts, wrong = _quantities(step, 0)
        components.append(_served(counts, parts, step.model or model, fault=wrong))
    return _served(
        counts,
        quantities,
        model,
        components=tuple(components),
        fault=fault or contradiction,
        raw=text,
    )


def _served(
    counts: MessageUsage,
    quantities: dict[str, int],
    model: str,
    *,
    components: tuple[Usage, ...] = (),
    fault: str = "",
    raw: str = "",
) -> Usage:
    """Make a usage under the conditions that the reply as a whole was served with."""
    tier = counts.service_tier or ""
    return Usage(
        quantities,
        model,
        tier,
        counts.speed or "",
        counts.inference_geo or "",
        tier == "batch",
        components,
        fault,
        raw=raw,
    )


def _billed_steps(steps: list[Step]) -> list[Step]:
    """Leave out attempts that were refused before they produced anything."""
    if not any(step.type == _FALLBACK for step in steps):
        return steps
    return [step for step in steps if step.type != _MESSAGE or step.output_tokens]


def _adds_up(counts: Step, own: list[Step]) -> bool:
    if own[-1].type == _FALLBACK:
        own = own[-1:]
    return all(
        (getattr(counts, name) or 0) == sum(getattr(step, name) or 0 for step in own)
        for name in ("input_tokens", "output_tokens", "cache_read_input_tokens")
    )


def _thinking_tokens(counts: MessageUsage) -> int:
    details = counts.output_tokens_details
    return (details.thinking_tokens or 0) if details else 0


def _prompt_tokens(counts: Step) -> int:
    return (
        (counts.input_tokens or 0)
        + (counts.cache_read_input_tokens or 0)
        + (counts.cache_creation_input_tokens or 0)
    )


def _quantities(counts: Step, thinking: int) -> tuple[dict[str, int], str]:
    """Give the exclusive quantities of one step, and a fault."""
    fault = MISSING_COUNT if counts.input_tokens is None else ""
    output = counts.output_tokens or 0
    written = counts.cache_creation_input_tokens or 0
    lifetimes = counts.cache_creation or _NO_LIFETIMES
    hour = lifetimes.ephemeral_1h_input_tokens or 0
    short = lifetimes.ephemeral_5m_input_tokens or 0
    if counts.cache_creation_input_tokens is None:
        written = hour + short
    if hour + short > written or (thinking > output and counts.type is None):
        return {}, fault or PARTS_EXCEED_WHOLE
    thinking = min(thinking, output)  # of several steps; which of them thought is not said
    quantities = {
        u.INPUT: counts.input_tokens or 0,
        u.CACHE_READ: counts.cache_read_input_tokens or 0,
        # Server tools write more than the lifetimes explain: the rest has the usual one.
        u.CACHE_WRITE: written - hour,
        u.CACHE_WRITE_1H: hour,
        u.OUTPUT: output - thinking,
        u.REASONING: thinking,
    }
    return {name: count for name, count in quantities.items() if count}, fault
