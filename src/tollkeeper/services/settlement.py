"""From the end of a call to its outcome: what it used, what that costs, how we know."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from tollkeeper.domain import usage as u
from tollkeeper.domain.calls import Held, Part, Settled
from tollkeeper.domain.jobs import COSTLESS, JobNews
from tollkeeper.domain.ledger import Basis, Outcome
from tollkeeper.domain.price_rules import base_of, is_ruled
from tollkeeper.domain.rate_card import OWN_PRICES
from tollkeeper.domain.texts import RequestText
from tollkeeper.domain.usage import Usage, new_usage
from tollkeeper.services import estimates, reasoning
from tollkeeper.services.picture_tokens import picture_tokens
from tollkeeper.services.token_families import Family, family_of

_TEXT_MAX = 256
_WORD_MAX = 64  # as many characters of a tier, a speed or a place decide the price
_NOTHING_SPENT = frozenset({Outcome.UPSTREAM_ERROR, Outcome.UPSTREAM_FAILED, Outcome.REFUSED})
_NO_USAGE = Usage()


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
    @property
    def by_the_hour(self) -> frozenset[str]: ...
    def price(self, provider: str, model: str, usage: Usage, at_us: int) -> Priced: ...
    def place(self, provider: str, account: str, team: str) -> str: ...


class Hints(NamedTuple):
    """What an estimate can go by where a reply did not say what it used.

    ``asked`` is what the model was given to read, None where that is no longer at hand;
    ``bytes_per_token`` what was learned of such prompts (0 for nothing), ``hidden_tokens`` the
    reasoning that the model usually does unseen.
    """

    asked: RequestText | None = None
    bytes_per_token: float = 0
    hidden_tokens: int = 0


NO_HINTS: Final = Hints()


class Ending(NamedTuple):
    """How a call ended.

    ``usage`` is what the reply said (None if nothing), ``output_bytes`` the generated text
    that went by when it broke off (None if not counted). ``free`` marks calls that are
    known to cost nothing. ``complete`` tells that the reply came to its end, even if its
    client did not wait for it, and that ``usage`` is all of it. ``unknown`` tells that the
    request was sent and nobody knows what became of it, ``goes_on`` that the provider works
    on and bills what nobody reads any more. ``streamed`` tells that the reply was a stream.
    ``job`` is what it said of work whose usage arrives later (see ``job_settlement``).
    ``hints`` are given where the reply said nothing.
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
    complete: bool = True
    unknown: bool = False
    goes_on: bool = False
    streamed: bool = False
    job: JobNews | None = None
    hints: Hints = NO_HINTS


def settle(held: Held, ending: Ending, prices: Prices) -> Settled:
    """Give the outcome of one attempt: the call itself, then further models it billed."""
    if held.asked_units:
        ending = _as_asked(held, ending)
    usage = ending.usage
    if usage is not None and ending.complete and ending.outcome not in _NOTHING_SPENT:
        stated = True
    else:
        usage, stated = _usage_to_book(held, ending)
    if prices.by_the_hour and base_of(held.profile.price_provider) in prices.by_the_hour:
        usage, stated = _by_the_clock(ending, usage, stated=stated)
    parts = [part_of(held, ending, usage, prices, stated=stated)]
    if usage.components:
        parts += [
            part_of(held, ending, component, prices, stated=stated)
            for component in _components(usage)
        ]
    return Settled._make(
        (
            held.entry_id,
            ending.status,
            ending.outcome,
            ending.error_code[:64],
            ending.duration_ms,
            ending.ttft_ms,
            ending.request_id[:128],
            prices.version,
            parts,
            ending.streamed,
            None,
        )
    )


def settle_interrupted(held: Held, prices: Prices) -> Settled:
    """Give the outcome of a call that was in flight when its gateway died."""
    free = held.profile.endpoint in COSTLESS
    ending = Ending(0, Outcome.INTERRUPTED, duration_ms=0, free=free, complete=False)
    return settle(held, ending, prices)


def total_cost_nanos(settled: Settled) -> int | None:
    """Sum the cost of a call's parts; None if any of them is unknown."""
    total = 0
    for part in settled.parts:
        if part.cost_nanos is None:
            return None
        total += part.cost_nanos
    return total


# --------------------------------------------------------------------------------- usage


def _usage_to_book(held: Held, ending: Ending) -> tuple[Usage, bool]:
    """Give the usage to book, and whether the provider itself stated it."""
    usage = ending.usage
    if ending.outcome in _NOTHING_SPENT or ending.free:
        return usage or _NO_USAGE, True
    if usage is None:
        return _estimated(held, ending), False
    # The stream broke off: its input is stated, its output only as far as it had come.
    seen = _output_seen(held, ending)
    quantities = dict(usage.quantities)
    stated = sum(quantities.get(name, 0) for name in u.OUTPUT_TOKENS)
    if seen > stated:
        quantities[u.OUTPUT] = quantities.get(u.OUTPUT, 0) + seen - stated
    return usage._replace(quantities=quantities, components=()), False


def _by_the_clock(ending: Ending, usage: Usage, *, stated: bool) -> tuple[Usage, bool]:
    """Take the call's own duration for the time of a machine that does not state it."""
    spent = ending.outcome not in _NOTHING_SPENT and not ending.free and not ending.unknown
    if not spent or u.GPU_MS in usage.quantities:
        return usage, stated
    if not ending.duration_ms:
        return usage._replace(fault=usage.fault or "missing_duration"), stated
    return usage._replace(quantities={**usage.quantities, u.GPU_MS: ending.duration_ms}), False


def _as_asked(held: Held, ending: Ending) -> Ending:
    """Bill what the request itself fixes, where the reply does not say it better.

    Whoever asks for speech pays for its characters once there is an answer, and for pictures
    by the size that was asked for.
    """
    usage, units = ending.usage, held.asked_units
    if ending.outcome in _NOTHING_SPENT or ending.unknown:
        return ending
    if usage is None:
        if u.INPUT_CHARACTERS not in units or not 200 <= ending.status < 300:
            return ending
        return ending._replace(usage=Usage(units, terms=held.asked_terms), complete=True)
    if units.keys().isdisjoint(usage.quantities):
        return ending
    return ending._replace(usage=usage._replace(terms=held.asked_terms))


def _components(usage: Usage) -> tuple[Usage, ...]:
    """Give the further models; a stated cost is that of the whole call, theirs included."""
    if usage.provider_cost_nanos is None:
        return usage.components
    return tuple(component._replace(provider_cost_nanos=0) for component in usage.components)


def _estimated(held: Held, ending: Ending) -> Usage:
    """Estimate a usage from the request and from what of the reply went by."""
    quantities, hints = {}, ending.hints
    if held.prompt_bytes:
        quantities[u.INPUT] = estimates.input_tokens(
            hints.asked, held.prompt_bytes, _family(held), hints.bytes_per_token
        )
        if hints.asked is not None and hints.asked.pictures:
            quantities[u.INPUT] += picture_tokens(hints.asked.pictures, held.profile.model)
    output = held.output_tokens
    if output and ending.output_bytes is not None:
        output = _output_seen(held, ending)
        manner = reasoning.manner_of(held.profile.model, held.profile.endpoint)
        thinks = hints.asked.thinks if hints.asked is not None else None
        hidden = reasoning.hidden_tokens(
            ending.output_bytes, manner, hints.hidden_tokens, asked=thinks
        )
        if hidden:
            quantities[u.REASONING] = hidden
    if output:
        quantities[u.OUTPUT] = output
    quantities.update(held.asked_units)
    return Usage(quantities, tier=held.profile.tier, terms=held.asked_terms)


def _output_seen(held: Held, ending: Ending) -> int:
    """Estimate the output of a reply: what went by, or the usual where more came unseen."""
    asked = ending.hints.asked
    must_call = asked.must_call if asked is not None else ""
    seen = estimates.output_tokens(ending.output_bytes or 0, _family(held), must_call)
    return max(seen, held.output_tokens) if ending.goes_on else seen


def _family(held: Held) -> Family:
    return family_of(held.profile.model, held.profile.endpoint)


# --------------------------------------------------------------------------------- cost


def part_of(held: Held, ending: Ending, usage: Usage, prices: Prices, *, stated: bool) -> Part:
    """Price one usage, and say how its cost is known. What the price depends on is kept."""
    profile, quantities = held.profile, usage.quantities
    model = usage.model[:_TEXT_MAX] or profile.model
    tier = usage.tier[:32] or profile.tier
    kept = (
        tier,
        usage.raw,
        usage.tier[:_WORD_MAX],
        usage.batch,
        usage.speed[:_WORD_MAX],
        usage.geo[:_WORD_MAX],
        stated,
        usage.provider_cost_nanos,
        usage.terms[:_TEXT_MAX],
        usage.provider_list_nanos,
    )
    unpriced = _unpriced_reason(ending, usage, stated=stated)
    if unpriced or ending.free or ending.outcome in _NOTHING_SPENT:
        cost = None if unpriced else 0
        basis = Basis.UNPRICED if unpriced else Basis.FREE
        return Part(model, quantities, basis, cost, cost, None, unpriced[:128], "", *kept)
    priced = prices.price(profile.price_provider, model, usage, held.started_at_us)
    if priced.nanos is None and profile.model.endswith(f"/{model}"):
        model = profile.model  # a reseller left the maker out of the name
        priced = prices.price(profile.price_provider, model, usage, held.started_at_us)
    cost = list_cost = priced.nanos
    saved = None if list_cost is None else 0
    if list_cost and not profile.flat_rate and not _CACHE.keys().isdisjoint(quantities):
        saved = _saved(held, model, usage, prices, list_cost)
    if is_ruled(profile.price_provider) and list_cost is not None:
        # What the provider's list says, beside what the operator's own terms make of it.
        listed = prices.price(base_of(profile.price_provider), model, usage, held.started_at_us)
        list_cost = list_cost if listed.nanos is None else listed.nanos
    if profile.flat_rate:
        basis, cost = Basis.FLAT_RATE, 0
    elif stated and usage.provider_cost_nanos is not None and not _is_own(priced):
        basis, cost = Basis.PROVIDER_REPORTED, usage.provider_cost_nanos
        if usage.provider_list_nanos is not None:
            list_cost = usage.provider_list_nanos
    elif list_cost is None:
        basis = Basis.UNPRICED
    else:
        basis = Basis.ESTIMATED if not stated else Basis.MEASURED if list_cost else Basis.FREE
    key = priced.key[:_TEXT_MAX]
    reason = priced.reason[:128]
    return Part._make((model, quantities, basis, cost, list_cost, saved, reason, key, *kept))


def _unpriced_reason(ending: Ending, usage: Usage, *, stated: bool) -> str:
    """Say why no price can be put on a usage, "" if one can."""
    if ending.unknown:
        return "no_reply"
    if ending.free or ending.outcome in _NOTHING_SPENT:
        return ""
    if usage.fault and (usage.provider_cost_nanos is None or not stated):
        return f"inconsistent_usage:{usage.fault}"
    return "" if stated or usage.quantities else "no_usage"


def _is_own(priced: Priced) -> bool:
    """Tell whether a price is the operator's own, which comes before what a provider states."""
    return priced.nanos is not None and priced.key.startswith(OWN_PRICES)


_CACHE = {
    u.CACHE_READ: u.INPUT,
    u.CACHE_WRITE: u.INPUT,
    u.CACHE_WRITE_1H: u.INPUT,
    u.CACHE_READ_AUDIO: u.INPUT_AUDIO,
    u.CACHE_READ_IMAGE: u.INPUT_IMAGE,
    u.CACHE_READ_VIDEO: u.INPUT_VIDEO,
}


def _saved(held: Held, model: str, usage: Usage, prices: Prices, cost: int) -> int:
    """Give what the provider's prompt cache saved: the same tokens uncached, less the cost.

    Negative where more was spent on writing the cache than reading it brought back.
    """
    quantities: dict[str, int] = {}
    for name, count in usage.quantities.items():
        plain = _CACHE.get(name, name)
        quantities[plain] = quantities.get(plain, 0) + count
    uncached = prices.price(
        held.profile.price_provider,
        model,
        new_usage((quantities, *usage[1:])),
        held.started_at_us,
    )
    return 0 if uncached.nanos is None else uncached.nanos - cost
