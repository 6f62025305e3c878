"""What a provider says that its reply cost, where it says so: the last word, if it is one.

OpenRouter writes USD into ``usage.cost``, Perplexity an object with a ``total_cost``, xAI
``cost_in_usd_ticks`` of 1e-10 USD, all of them the amount that is billed, tools included. A
statement that cannot be an amount is a fault: it is neither believed nor passed over.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Final, NamedTuple

import msgspec

from tollkeeper.domain.money import NANOS_PER_USD
from tollkeeper.wire.lenient_json import ABSENT, Count, Shape, is_present

UNUSABLE: Final = "stated_cost"
"""The fault of a usage whose stated cost is negative, absurd, or no number."""

STATED_USD_MAX: Final = 10_000
"""One reply that costs more than this was not billed so: it is a mistake of units."""

_NO_TICKS: Final = frozenset({b"", b"null", b"0", b"0.0"})  # Azure writes 0 for everything
_USD_DECIMALS: Final = 9  # of the nano-dollars that USD are kept in
_TICK_DECIMALS: Final = -1  # ticks are finer than nano-dollars
_TEXT_BYTES_MAX: Final = 64  # no amount is written longer
_EXACT: Final = Context(prec=80, rounding=ROUND_HALF_EVEN)


class ServerTools(msgspec.Struct):
    """Calls of the provider's own tools, as OpenRouter and xAI count them."""

    web_search_requests: Count = None  # OpenRouter
    web_search_calls: Count = None  # xAI, as all that follow
    x_search_calls: Count = None
    code_interpreter_calls: Count = None
    file_search_calls: Count = None
    document_search_calls: Count = None


class Statement(msgspec.Struct):
    """The fields of a usage object in which providers state costs, and what is paid by the call."""

    cost: msgspec.Raw = ABSENT
    cost_in_usd_ticks: msgspec.Raw = ABSENT
    cost_details: msgspec.Raw = ABSENT
    is_byok: bool | None = None
    server_tool_use_details: ServerTools | None = None  # OpenRouter
    server_tool_use: ServerTools | None = None  # OpenRouter, formerly
    server_side_tool_usage_details: ServerTools | None = None  # xAI
    num_sources_used: Count = None  # xAI's search before it was a tool


class StatedCost(NamedTuple):
    """A stated cost in nano-dollars, rounded once; None where nothing was stated.

    ``list_nanos`` is what somebody else bills for the same reply: with a caller's own key at
    OpenRouter, its provider does.
    """

    nanos: int | None = None
    list_nanos: int | None = None
    fault: str = ""


_NOT_STATED: Final = StatedCost()


class _Total(msgspec.Struct):
    total_cost: msgspec.Raw = ABSENT
    currency: str | None = None


class _Upstream(msgspec.Struct):
    upstream_inference_cost: msgspec.Raw = ABSENT


_TOTAL: Final = Shape(_Total)
_UPSTREAM: Final = Shape(_Upstream)


def stated_cost(usage: Statement) -> StatedCost:
    """Read the cost that a usage object states."""
    ticks = bytes(usage.cost_in_usd_ticks)
    if ticks not in _NO_TICKS:
        nanos, fault = _amount(ticks, _TICK_DECIMALS)
        return StatedCost(nanos, None, fault)
    if not is_present(usage.cost):
        return _NOT_STATED
    nanos, fault = _usd(bytes(usage.cost))
    if usage.is_byok and is_present(usage.cost_details):
        details, _ = _UPSTREAM.read(usage.cost_details)
        if details is not None and is_present(details.upstream_inference_cost):
            upstream, wrong = _amount(bytes(details.upstream_inference_cost), _USD_DECIMALS)
            return StatedCost(nanos, upstream, fault or wrong)
    return StatedCost(nanos, None, fault)


def _usd(text: bytes) -> tuple[int | None, str]:
    if text[:1] != b"{":
        return _amount(text, _USD_DECIMALS)
    parts, _ = _TOTAL.read(text)
    if parts is None or not is_present(parts.total_cost):
        return None, ""  # an object that says nothing of a total
    if (parts.currency or "USD").upper() != "USD":
        return None, UNUSABLE
    return _amount(bytes(parts.total_cost), _USD_DECIMALS)


def _amount(text: bytes, decimals: int) -> tuple[int | None, str]:
    """Give nano-dollars, or a fault for what is no amount."""
    try:
        if len(text) > _TEXT_BYTES_MAX:
            return None, UNUSABLE
        nanos = Decimal(text.decode()).scaleb(decimals, _EXACT)
        if not 0 <= nanos <= STATED_USD_MAX * NANOS_PER_USD:  # not a number compares as neither
            return None, UNUSABLE
        return int(nanos.to_integral_value(ROUND_HALF_EVEN)), ""
    except (InvalidOperation, ValueError):
        return None, UNUSABLE
