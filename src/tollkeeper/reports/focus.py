"""Statements in the columns of FOCUS 1.2, the FinOps Open Cost and Usage Specification.

Every mandatory column is there, and of the conditional ones those that we have something to say
in. There are no unit prices: a line sums up calls of several kinds of tokens, and no single
price times a quantity would give its cost. Where ours is more than FOCUS knows, columns begin
with ``x_``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from tollkeeper.domain.ledger import Basis
from tollkeeper.domain.money import usd
from tollkeeper.domain.statements import MonthStatement, Seats, Share, Use, lines_of
from tollkeeper.reports.zones import moment_of

MANDATORY: Final = (
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency"),
    *("BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass"),
    *("ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost"),
    *("EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit"),
    *("ProviderName", "PublisherName", "ServiceCategory", "ServiceName"),
)
OTHERS: Final = (
    *("ChargeFrequency", "ConsumedQuantity", "ConsumedUnit", "InvoiceId", "PricingCategory"),
    *("ResourceId", "ServiceSubcategory", "SkuId", "SkuMeter", "SubAccountId"),
    *("SubAccountName", "SubAccountType", "Tags"),
)
OURS: Final = (
    *("x_StatementMonth", "x_StatementState", "x_StatementSha256", "x_LineKind"),
    *("x_CorrectsMonth", "x_Basis", "x_PriceVersionFirst", "x_PriceVersionLast"),
    *("x_Entries", "x_UnpricedEntries", "x_Requests", "x_TokensIn", "x_TokensOut"),
    *("x_FlatRateListValue", "x_ShareWeight", "x_ShareWeights"),
)
COLUMNS: Final = (*sorted((*MANDATORY, *OTHERS)), *OURS)
KINDS: Final[Mapping[str, type]] = {
    **dict.fromkeys(
        (
            *("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"),
            *("ConsumedQuantity", "PricingQuantity", "x_FlatRateListValue"),
        ),
        Decimal,
    ),
    **dict.fromkeys(
        (
            *("x_Entries", "x_UnpricedEntries", "x_Requests", "x_TokensIn", "x_TokensOut"),
            *("x_ShareWeight", "x_ShareWeights"),
        ),
        int,
    ),
}
"""Types of columns that may have no value at all in a file; times always have theirs."""

USAGE: Final = "Usage"
PURCHASE: Final = "Purchase"
ADJUSTMENT: Final = "Adjustment"
CORRECTION: Final = "Correction"
_UNKNOWN: Final = "unknown"
_NO_COST: Final = Decimal("0.000000000")


def focus_rows(found: MonthStatement, state: str, sha256: str) -> list[dict[str, Any]]:
    """Give one row of ``COLUMNS`` for each line; times are UTC, amounts Decimal USD.

    Usage whose cost is not known is billed with 0, as FOCUS wants it, and counted in
    ``x_UnpricedEntries``. ``sha256`` is "" for a draft.
    """
    about = {
        "BillingAccountId": found.org,
        "BillingAccountName": found.org,
        "BillingCurrency": "USD",
        "BillingPeriodStart": moment_of(found.start_us),
        "BillingPeriodEnd": moment_of(found.end_us),
        "ChargePeriodStart": moment_of(found.start_us),
        "ChargePeriodEnd": moment_of(found.end_us),
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
        "x_StatementMonth": found.month,
        "x_StatementState": state,
        "x_StatementSha256": sha256 or None,
    }
    return [
        {**dict.fromkeys(COLUMNS), **about, "x_LineKind": kind, **_row(found, line)}
        for kind, line in lines_of(found)
    ]


def _row(found: MonthStatement, line: Use | Share | Seats) -> dict[str, Any]:
    if isinstance(line, Use):
        return {**_account(line.key.team), **_of_use(found.month, line)}
    if isinstance(line, Share):
        return {**_account(line.team), **_of_share(found.org, line)}
    return {**_account(line.team), **_of_seats(line)}


def _account(team: str) -> dict[str, Any]:
    if not team:
        return {}
    return {"SubAccountId": team, "SubAccountName": team, "SubAccountType": "Team"}


def _of_use(month: str, use: Use) -> dict[str, Any]:
    key, provider = use.key, use.key.provider or _UNKNOWN
    model = key.model or _UNKNOWN
    cost = _NO_COST if use.cost_nanos is None else usd(use.cost_nanos)
    flat = key.basis == Basis.FLAT_RATE
    listed = cost if flat or use.list_nanos is None else usd(use.list_nanos)
    quantity, unit = (use.tokens, "Tokens") if use.tokens else (use.requests, "Requests")
    corrects = key.month if key.month != month else None
    what = f"{model} by {provider}" + (f", {key.feature}" if key.feature else "")
    return {
        **_costs(cost, listed),
        "ChargeCategory": USAGE,
        "ChargeClass": CORRECTION if corrects else None,
        "ChargeDescription": f"Correction of {corrects}: {what}" if corrects else what,
        "ChargeFrequency": "Usage-Based",
        "ConsumedQuantity": Decimal(quantity),
        "ConsumedUnit": unit,
        "PricingCategory": "Standard",
        "PricingQuantity": Decimal(quantity),
        "PricingUnit": unit,
        **_made_by(provider),
        "ServiceName": f"{provider} models",
        "SkuId": f"{provider}/{model}",
        "SkuMeter": unit,
        "Tags": json.dumps({"feature": key.feature}) if key.feature else None,
        "x_CorrectsMonth": corrects,
        "x_Basis": key.basis,
        "x_PriceVersionFirst": use.first_version or None,
        "x_PriceVersionLast": use.last_version or None,
        "x_Entries": use.entries,
        "x_UnpricedEntries": use.unpriced,
        "x_Requests": use.requests,
        "x_TokensIn": use.tokens_in,
        "x_TokensOut": use.tokens_out,
        "x_FlatRateListValue": usd(use.list_nanos) if flat and use.list_nanos else None,
    }


def _of_share(org: str, share: Share) -> dict[str, Any]:
    cost, listed = usd(share.cost_nanos), usd(share.list_nanos)
    what = "Shared cost, given to all" if share.given else "Part of the shared cost"
    return {
        **_costs(cost, listed),
        "ChargeCategory": ADJUSTMENT,
        "ChargeDescription": what,
        "ChargeFrequency": "One-Time",
        **_made_by(org),
        "ServiceName": "Shared cost",
        "x_ShareWeight": share.weight,
        "x_ShareWeights": share.weights,
    }


def _of_seats(seats: Seats) -> dict[str, Any]:
    cost, provider = usd(seats.cost_nanos), seats.provider or _UNKNOWN
    return {
        **_costs(cost, cost),
        "ChargeCategory": PURCHASE,
        "ChargeDescription": f"{seats.seats} seats of {seats.plan}",
        "ChargeFrequency": "Recurring",
        "PricingCategory": "Standard",
        "PricingQuantity": Decimal(seats.seats),
        "PricingUnit": "Seats",
        **_made_by(provider),
        "ServiceName": seats.plan,
        "SkuId": f"{provider}/{seats.plan}",
        "SkuMeter": "Seats",
    }


def _costs(cost: Decimal, listed: Decimal) -> dict[str, Any]:
    same = dict.fromkeys(("BilledCost", "EffectiveCost", "ContractedCost"), cost)
    return {**same, "ListCost": listed}


def _made_by(name: str) -> dict[str, Any]:
    return dict.fromkeys(("ProviderName", "PublisherName", "InvoiceIssuerName"), name)
