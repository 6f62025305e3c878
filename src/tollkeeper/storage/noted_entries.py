"""Which entries a finding may be about, as SQL of every engine.

What a finding counts depends on who asks, when and with which filters; all of these only leave
entries out. So of the entries that are alike, there have to be many before anything is left out.
Each entry counts at most once as a request or as an error, so numbers of entries tell enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from tollkeeper.domain.ledger import Basis, Outcome
from tollkeeper.domain.noted import (
    ALIKE_MIN,
    CACHE_FAMILY,
    CACHE_TOKENS_MIN,
    DUPLICATES,
    EMBEDDINGS,
    ERRORS_MIN,
    EXPIRED,
    IN_TOKENS_MIN,
    MINUTE_S,
    OUT_TOKENS_MIN,
    SMALL_CALLS,
    SMALL_IN_TOKENS,
    SMALL_OUT_TOKENS,
    STORMS,
    WINDOW_S,
)
from tollkeeper.storage.columns import COLUMNS, Column, Kind
from tollkeeper.storage.paid_entries import PAID

_LEFT_OUT: Final = frozenset(
    {
        *("entry_id", "attempt", "duration_ms", "ttft_ms", "list_cost_usd", "saved_usd"),
        *("price_version", "request_id_upstream", "usage_raw", "tokens_cached", "refusals"),
        *("stated", "provider_cost_usd", "provider_list_usd", "corrected_at", "correction"),
        *("repeats", "model_asked", "held_usd"),
    }
)
ROW: Final = tuple(column for column in COLUMNS if column.name not in _LEFT_OUT)
"""What is known of noted entries: all that one may filter by, and all that findings ask for."""

GAP_ROW: Final = tuple(
    column
    for column in COLUMNS
    if column.name
    in {
        *("started_at", "org", "team", "user_id", "user_name", "key_id", "session_id", "tool"),
        *("provider", "price_provider", "model_requested", "model_served"),
        *("tier_served", "batch", "speed", "geo", "terms", "tokens_in"),
        *("cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
    }
)
"""What is asked of calls that write to a cache anew, where nothing is filtered."""

GAP_MOMENTS: Final = (
    *(
        Column(name, Kind.TIME, nullable=True)
        for name in ("before_at", "anew_before_at", "anew_after_at")
    ),
    Column("kept_tokens", Kind.INTEGER, nullable=True),
)
"""What is noted of what was before such a call, besides ``gap_s``."""

MODEL: Final = "CASE WHEN model_served = '' THEN model_requested ELSE model_served END"
_OK: Final = f"outcome = '{Outcome.OK.value}'"


_WRITTEN: Final = "(cache_write_tokens + cache_write_1h_tokens)"
USES_CACHE: Final = (
    "requests = 1 AND revision = 0 AND session_id <> '' AND price_key <> ''"
    f" AND basis NOT IN ('{Basis.FLAT_RATE.value}', '{Basis.UNPRICED.value}')"
    f" AND instr(lower({MODEL}), '{CACHE_FAMILY}') > 0"
    f" AND {_WRITTEN} + cache_read_tokens > 0"
)
"""Calls of sessions that may have a cache, as they were made."""

WRITES_ANEW: Final = f"({_WRITTEN} >= {CACHE_TOKENS_MIN} AND {_WRITTEN} > cache_read_tokens)"
"""Those of them that write most of their prompt to the cache."""


class Note(NamedTuple):
    """What entries have to be, to be noted: ``where`` by themselves, and ``many`` among those
    that are ``alike`` and start in the same stretch of ``together_s``; "" where these are not
    looked at. In ``many`` the window of these is named ``alike``.
    """

    where: str
    alike: str = ""
    many: str = ""
    together_s: int = 0


NOTES: Final[Mapping[str, Note]] = {
    STORMS: Note(
        "key_id <> ''",
        f"org, team, key_id, endpoint, abs(tokens_in), {MODEL}",
        f"count(*) FILTER (WHERE errors <> 0) OVER alike >= {ERRORS_MIN}"
        f" OR (count(*) OVER alike >= {ALIKE_MIN} AND tokens_in <> 0"
        f" AND instr(lower(endpoint), '{EMBEDDINGS}') = 0)",
        MINUTE_S,
    ),
    DUPLICATES: Note(
        f"key_id <> '' AND {_OK} AND abs(tokens_in) >= {IN_TOKENS_MIN}"
        f" AND abs(tokens_out) >= {OUT_TOKENS_MIN}",
        f"org, team, key_id, session_id, endpoint, tool, abs(tokens_in), abs(tokens_out), {MODEL}",
        "count(*) OVER alike > 1",
        WINDOW_S,
    ),
    SMALL_CALLS: Note(
        f"{PAID} AND {_OK}"
        f" AND abs(tokens_out) BETWEEN 1 AND {SMALL_OUT_TOKENS}"
        f" AND abs(tokens_in) BETWEEN 1 AND {SMALL_IN_TOKENS}"
    ),
    EXPIRED: Note(f"{USES_CACHE} AND {WRITES_ANEW}"),
}
