"""What to do about a call without a price, or one that was refused or failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tollkeeper.console import words
from tollkeeper.domain.ledger import LedgerEntry, Outcome

_PRICE_IT: Final = (
    "Fetch newer prices (tollkeeper prices refresh), or add one in tollkeeper.yaml (providers: "
    "{provider}: prices: …). This call then gets its price by itself, unless its month is closed."
)

_UNPRICED: Final[Mapping[str, tuple[str, str]]] = {
    "unknown_model": (
        "The price book does not list {model} at {provider}.",
        _PRICE_IT,
    ),
    "unknown_tier": (
        "{model} was served in the tier “{detail}”, for which no price is published.",
        _PRICE_IT,
    ),
    "unknown_speed": (
        "{model} was served at the speed “{detail}”, for which no price is published.",
        _PRICE_IT,
    ),
    "unknown_geo": (
        "{model} was served from “{detail}”, for which no price is published.",
        _PRICE_IT,
    ),
    "unknown_dimension": (
        "The price book has prices for {model}, but none for what it used: {detail}.",
        _PRICE_IT,
    ),
    "inconsistent_usage": (
        "The provider's own counts contradict each other ({detail}), so none of them is billed.",
        "Compare with the provider's invoice. The counts are kept below as they came.",
    ),
    "no_usage": (
        "The provider reported no usage, and nothing of the call tells what it used.",
        "Compare with the provider's invoice. If this endpoint never reports usage, give it a "
        "price for each request in tollkeeper.yaml.",
    ),
    "no_reply": (
        "The request was sent, and nobody knows what became of it.",
        "Compare with the provider's invoice, if the provider billed it at all.",
    ),
    "pending": (
        "The provider works on this in the background, and says what it used when it is done.",
        "It is billed here once the result was fetched through Tollkeeper, by whoever.",
    ),
    "unreadable_line": (
        "A line of the batch's results was no JSON, so nobody knows what it used.",
        "Compare with the provider's invoice.",
    ),
    "line_too_long": (
        "A line of the batch's results was too long to be read.",
        "Compare with the provider's invoice.",
    ),
}

_REFUSED: Final[Mapping[str, tuple[str, str]]] = {
    "key_missing": ("The request brought no key.", "Put a key into the tool's settings."),
    "key_unknown": ("The key is not known here.", "Issue a new key, and use that one."),
    "key_malformed": ("What came as a key is none.", "Copy the whole key, and nothing else."),
    "key_revoked": ("The key was revoked.", "Issue a new key, and use that one."),
    "key_rotated": (
        "The key was rotated, and its old secret is over.",
        "Put the new secret into the tool's settings, or rotate the key again.",
    ),
    "address_not_allowed": (
        "The key may not be used from where the call came.",
        "Call from one of its networks, or issue a key without networks. Behind a proxy, name "
        "the proxy in listen.trusted_proxies.",
    ),
    "key_expired": ("The key has expired.", "Issue a new key, and use that one."),
    "wrong_key_kind": ("A management key cannot call models.", "Use a virtual key (tk_live_…)."),
    "model_not_allowed": (
        "The key may not use {model}.",
        "Use a model that the key allows, or issue a key that allows this one.",
    ),
    "provider_not_allowed": (
        "The key may not use {provider}.",
        "Use a provider that the key allows, or issue a key that allows this one.",
    ),
    "model_not_found": (
        "No provider here offers {model}.",
        "Check the name, or add a route for it under models: in tollkeeper.yaml.",
    ),
    "provider_not_found": (
        "There is no provider {provider} here.",
        "Check the name, or add it under providers: in tollkeeper.yaml.",
    ),
    "no_provider": (
        "No provider is configured that could answer this.",
        "Add one under providers: in tollkeeper.yaml.",
    ),
    "provider_key_missing": (
        "{provider} has no key of its own here.",
        "Set it with: tollkeeper providers set {provider}",
    ),
    "body_too_large": (
        "The request is larger than this deployment allows.",
        "Send less, or raise limits: body_mb in tollkeeper.yaml.",
    ),
    "too_many_calls": (
        "More calls were in flight than this deployment allows.",
        "Try again, or raise limits: in_flight in tollkeeper.yaml.",
    ),
    "storage_full": (
        "The disk is full, so no call could be recorded.",
        "Free some space in the data folder.",
    ),
}


def unpriced(entry: LedgerEntry) -> tuple[str, str]:
    """Say why an entry has no price, and what to do about it."""
    code, _, detail = entry.unpriced_reason.partition(":")
    why, what = _UNPRICED.get(code, ("No price is known ({reason}).", _PRICE_IT))
    return _filled(why, entry, detail), _filled(what, entry, detail)


def failure(entry: LedgerEntry) -> tuple[str, str]:
    """Say why a call was refused or failed, and what to do about it; two empty texts if not."""
    code, said = entry.error_code, _said(entry)
    if entry.outcome == Outcome.REFUSED:
        why, what = _REFUSED.get(code, (words.outcome(entry.outcome).meaning, ""))
        return _filled(why, entry, ""), _filled(what, entry, "")
    if entry.outcome == Outcome.UPSTREAM_ERROR:
        return f"{entry.provider} answered with {said}. It cost nothing.", _try_again(entry)
    if entry.outcome == Outcome.UPSTREAM_FAILED:
        return f"{entry.provider} gave no usable answer ({code or 'no answer'}).", _try_again(entry)
    if entry.outcome in {Outcome.INCOMPLETE, Outcome.DISCONNECTED, Outcome.INTERRUPTED}:
        return words.outcome(entry.outcome).meaning, ""
    return "", ""


def _said(entry: LedgerEntry) -> str:
    return f"{entry.status} {entry.error_code.replace('_', ' ')}".strip()


def _try_again(entry: LedgerEntry) -> str:
    if entry.status in {401, 403}:
        return f"Check the provider's key: tollkeeper providers set {entry.provider}"
    if entry.status == 429:
        return "The provider limits how much is asked of it. Ask it for a higher limit."
    if entry.status in {400, 404, 413, 422}:
        return "The request itself was at fault; trying again gives the same answer."
    return ""


def _filled(text: str, entry: LedgerEntry, detail: str) -> str:
    model = entry.model_served or entry.model_requested or "the model"
    return text.format(
        model=model,
        provider=entry.provider or "this provider",
        detail=words.quantity(detail).lower() if detail in words.QUANTITIES else detail,
        reason=entry.unpriced_reason or "no reason given",
    )
