"""From the end of a call to its ledger entries: what it used, what that costs, how we know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from tollkeeper.domain import usage as u
from tollkeeper.domain.calls import Held
from tollkeeper.domain.ledger import TOKEN_FIELDS, Basis, LedgerEntry, Outcome
from tollkeeper.domain.usage import Usage
from tollkeeper.services import estimates

_TEXT_MAX = 256
_CUT = frozenset({Outcome.DISCONNECTED, Outcome.INCOMPLETE, Outcome.INTERRUPTED})
_NOTHING_SPENT = frozenset({Outcome.UPSTREAM_ERROR, Outcome.UPSTREAM_FAILED, Outcome.REFUSED})


class Priced(Protocol):
    """What a price book answers: see ``domain.pricing.Priced``."""

    @property
    def nanos(self) -> int | None: ...
    @property
    def reason(self) -> str: ...
    @property
    def key(self) -> str: ...


class Prices(Protocol):
    """The part of the price book that settlement needs."""

    @property
    def version(self) -> str: ...
    def price(self, provider: str, model: str, usage: Usage, at_us: int) -> Priced: ...


class Ending(NamedTuple):
    """How a call ended.

    ``usage`` is what the reply said (None if nothing), ``output_bytes`` the generated text
    that went by when it broke off (None if not counted). ``free`` marks endpoints that are
    known to cost nothing.
    """

    status: int
    outcome: Outcome
    duration_ms: int
    ttft_ms: int | None = None
    error_code: str = ""
    usage: Usage | None = None
    output_bytes: int | None = None
    request_id: str = ""
    free: bool = False


class _Cost(NamedTuple):
    basis: Basis
    cost: int | None
    list_cost: int | None
    saved: int | None = None
    reason: str = ""
    key: str = ""


def settle(held: Held, ending: Ending, prices: Prices) -> list[LedgerEntry]:
    """Give the entries of one attempt: the call itself, then further models it billed."""
    usage, known = _usage_to_book(held, ending)
    cost = _cost(held, ending, usage, prices, known=known)
    entries = [_entry(held, ending, usage, cost, prices.version)]
    for part, component in enumerate(usage.components, 1):
        part_cost = _cost(held, ending, component, prices, known=known)
        entry = _entry(held, ending, component, part_cost, prices.version)
        entries.append(entry._replace(entry_id=f"{held.entry_id}.{part}", part=part))
    return entries


def settle_interrupted(held: Held, prices: Prices) -> list[LedgerEntry]:
    """Give the entries of a call that was in flight when its gateway died."""
    ending = Ending(status=0, outcome=Outcome.INTERRUPTED, duration_ms=0)
    return settle(held, ending, prices)


def total_cost_nanos(entries: list[LedgerEntry]) -> int | None:
    """Sum the cost of a call's entries; None if any of them is unknown."""
    total = 0
    for entry in entries:
        if entry.cost_nanos is None:
            return None
        total += entry.cost_nanos
    return total


# --------------------------------------------------------------------------------- usage


def _usage_to_book(held: Held, ending: Ending) -> tuple[Usage, bool]:
    """Give the usage to book, and whether the provider itself stated it."""
    usage = ending.usage
    if ending.outcome in _NOTHING_SPENT or ending.free:
        return usage or Usage(), True
    if ending.outcome not in _CUT:
        return (usage, True) if usage is not None else (_estimated(held, ending), False)
    if usage is None:
        return _estimated(held, ending), False
    # The stream broke off: its input is stated, its output only as far as it had come.
    seen = estimates.output_tokens(ending.output_bytes or 0)
    quantities = dict(usage.quantities)
    stated = sum(quantities.get(name, 0) for name in u.OUTPUT_TOKENS)
    if seen > stated:
        quantities[u.OUTPUT] = quantities.get(u.OUTPUT, 0) + seen - stated
    return _with_quantities(usage, quantities), False


def _estimated(held: Held, ending: Ending) -> Usage:
    quantities = dict(held.estimate)
    if ending.output_bytes is not None and u.OUTPUT in quantities:
        quantities[u.OUTPUT] = estimates.output_tokens(ending.output_bytes)
    return Usage({name: count for name, count in quantities.items() if count > 0}, tier=held.tier)


def _with_quantities(usage: Usage, quantities: Mapping[str, int]) -> Usage:
    return Usage(
        quantities,
        model=usage.model,
        tier=usage.tier,
        speed=usage.speed,
        geo=usage.geo,
        batch=usage.batch,
        fault=usage.fault,
        raw=usage.raw,
    )


# --------------------------------------------------------------------------------- cost


def _cost(held: Held, ending: Ending, usage: Usage, prices: Prices, *, known: bool) -> _Cost:
    if ending.outcome in _NOTHING_SPENT or ending.free:
        return _Cost(Basis.FREE, 0, 0)
    if usage.fault:
        return _Cost(Basis.UNPRICED, None, None, reason=f"inconsistent_usage:{usage.fault}")
    priced = prices.price(held.price_provider, usage.model or held.model, usage, held.started_at_us)
    list_cost = priced.nanos
    if held.flat_rate:
        return _Cost(Basis.FLAT_RATE, 0, list_cost, reason=priced.reason, key=priced.key)
    stated = usage.provider_cost_nanos
    if stated is not None and known:
        return _Cost(Basis.PROVIDER_REPORTED, stated, list_cost, key=priced.key)
    if list_cost is None:
        return _Cost(Basis.UNPRICED, None, None, reason=priced.reason, key=priced.key)
    saved = _saved(held, usage, prices, list_cost)
    basis = Basis.ESTIMATED if not known else Basis.MEASURED if list_cost else Basis.FREE
    return _Cost(basis, list_cost, list_cost, saved, key=priced.key)


_CACHE = {
    u.CACHE_READ: u.INPUT,
    u.CACHE_WRITE: u.INPUT,
    u.CACHE_WRITE_1H: u.INPUT,
    u.CACHE_READ_AUDIO: u.INPUT_AUDIO,
    u.CACHE_READ_IMAGE: u.INPUT_IMAGE,
    u.CACHE_READ_VIDEO: u.INPUT_VIDEO,
}


def _saved(held: Held, usage: Usage, prices: Prices, cost: int) -> int:
    """Give what the provider's prompt cache saved: the same tokens uncached, less the cost.

    Negative where more was spent on writing the cache than reading it brought back.
    """
    if _CACHE.keys().isdisjoint(usage.quantities):
        return 0
    quantities: dict[str, int] = {}
    for name, count in usage.quantities.items():
        plain = _CACHE.get(name, name)
        quantities[plain] = quantities.get(plain, 0) + count
    uncached = prices.price(
        held.price_provider,
        usage.model or held.model,
        _with_quantities(usage, quantities),
        held.started_at_us,
    )
    return 0 if uncached.nanos is None else uncached.nanos - cost


# --------------------------------------------------------------------------------- entry


def _entry(held: Held, ending: Ending, usage: Usage, cost: _Cost, version: str) -> LedgerEntry:
    quantities = usage.quantities
    tokens = {field: quantities[name] for field, name in TOKEN_FIELDS if name in quantities}
    units = {name: quantities[name] for name in u.UNITS if name in quantities}
    return LedgerEntry(
        entry_id=held.entry_id,
        call_id=held.call_id,
        started_at_us=held.started_at_us,
        org=held.org,
        attempt=held.attempt,
        duration_ms=ending.duration_ms,
        ttft_ms=ending.ttft_ms,
        team=held.team,
        user_id=held.user_id,
        user_name=held.user_name,
        key_id=held.key_id,
        key_name=held.key_name,
        end_customer=held.end_customer,
        session_id=held.session_id,
        tool=held.tool,
        tool_version=held.tool_version,
        provider=held.provider,
        model_requested=held.model_requested,
        model_served=usage.model[:_TEXT_MAX] or held.model,
        endpoint=held.endpoint,
        wire=held.wire,
        streamed=held.streamed,
        status=ending.status,
        outcome=ending.outcome,
        error_code=ending.error_code[:64],
        basis=cost.basis,
        unpriced_reason=cost.reason[:128],
        units=units,
        cost_nanos=cost.cost,
        list_cost_nanos=cost.list_cost,
        saved_nanos=cost.saved,
        price_version=version,
        price_key=cost.key[:_TEXT_MAX],
        tier=usage.tier[:32] or held.tier,
        tags=held.tags,
        request_id_upstream=ending.request_id[:128],
        usage_raw=usage.raw,
        **tokens,  # type: ignore[arg-type]  # only the token fields, which are ints
    )
