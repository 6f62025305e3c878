"""A row of the list of calls, and what it is made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from tollkeeper.reports import zones
from tollkeeper.reports.measures import Value

SUMS: Final = (
    "cost_usd",
    "list_cost_usd",
    "saved_usd",
    "tokens_in",
    "tokens_cached",
    "tokens_out",
    "unpriced",
)
"""What is added up of all entries of an attempt."""

STANDING: Final = ("basis", "unpriced_reason", "model_served")
"""What a correction may change besides amounts: the list shows, and finds, what stands."""


@dataclass(frozen=True, slots=True)
class CallRow:
    """One attempt at a call. Texts are "" where there is nothing; money is Decimal USD.

    ``cost_usd`` is None when nothing of the cost is known; ``unpriced`` counts the entries
    of this attempt whose cost is unknown. ``tokens_in`` contains ``tokens_cached``.
    ``corrections`` counts how often the attempt was booked anew. A refusal stands for
    ``repeats`` more of its kind.
    """

    call_id: str
    entry_id: str
    attempt: int
    started_at_us: int
    duration_ms: int
    ttft_ms: int | None
    source: str
    team: str
    user_id: str
    user_name: str
    key_id: str
    key_name: str
    end_customer: str
    session_id: str
    tool: str
    tool_version: str
    provider: str
    model_requested: str
    model_served: str
    endpoint: str
    wire: str
    streamed: bool
    status: int
    outcome: str
    error_code: str
    basis: str
    unpriced_reason: str
    tokens_in: int
    tokens_cached: int
    tokens_out: int
    cost_usd: Decimal | None
    list_cost_usd: Decimal | None
    saved_usd: Decimal | None
    unpriced: int
    tags: Mapping[str, str]
    corrections: int = 0
    repeats: int = 0

    @property
    def model(self) -> str:
        """Give the model that answered, or the one asked for where none did."""
        return self.model_served or self.model_requested


COLUMNS: Final = tuple(
    field.name
    for field in dataclasses.fields(CallRow)
    if field.name not in {"started_at_us", "corrections", *SUMS}
)
"""What is taken from the entry of the attempt itself."""


def call_row(row: Mapping[str, Any], known: Mapping[str, Any]) -> CallRow:
    """Put a row together from an attempt's entry, its sums, and how it was booked last.

    ``known`` has no ``corrections`` where nobody booked it anew.
    """
    found: dict[str, Any] = {name: _number(known[name]) for name in SUMS}
    found |= {name: row[name] for name in COLUMNS}
    if known["corrections"] is not None:
        found |= {name: known[name] for name in (*STANDING, "corrections")}
    return CallRow(started_at_us=zones.epoch_us_of(row["started_at"]), **found)


def _number(value: Value) -> Value:
    return value if value is None or isinstance(value, Decimal) else int(value)
