"""What the gateway counts about itself. Labels come from closed sets only."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from tollkeeper.domain.usage import INPUT_TOKENS, OUTPUT_TOKENS
from tollkeeper.services.settlement import Ending

BOUNDS_MS: Final = (10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000)
"""Upper bounds of the buckets that durations are counted in; a last bucket has the rest."""

_INPUT: Final = frozenset(INPUT_TOKENS)
_OUTPUT: Final = frozenset(OUTPUT_TOKENS)


class Series:
    """The counts of one kind of call at one provider."""

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {}
        self.input_tokens = 0
        self.output_tokens = 0
        self.duration_counts = [0] * (len(BOUNDS_MS) + 1)
        self.duration_ms = 0
        self.first_byte_counts = [0] * (len(BOUNDS_MS) + 1)
        self.first_byte_ms = 0

    def add(self, ending: Ending) -> int:
        """Count one call; give its output tokens."""
        outcome, duration_ms, ttft_ms = ending.outcome, ending.duration_ms, ending.ttft_ms
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        self.duration_counts[bisect_left(BOUNDS_MS, duration_ms)] += 1
        self.duration_ms += duration_ms
        if ttft_ms is not None:
            self.first_byte_counts[bisect_left(BOUNDS_MS, ttft_ms)] += 1
            self.first_byte_ms += ttft_ms
        output = 0
        if ending.usage is not None:
            tokens = 0
            for name, count in ending.usage.quantities.items():
                if name in _OUTPUT:
                    output += count
                elif name in _INPUT:
                    tokens += count
            self.input_tokens += tokens
            self.output_tokens += output
        return output


class Counters:
    """Plain counts, raised on the hot path and read by a scrape."""

    def __init__(self) -> None:
        self.series: dict[tuple[str, str], Series] = {}  # (provider, endpoint)
        self.refused: dict[str, int] = {}  # code of a refusal before any identity was known
        self.rate_limited: dict[str, int] = {}  # refusals by what was limited
        self.repeated: dict[str, int] = {}  # refusals without an entry of their own, by code
        self.disconnects = 0
        self.drained = 0
        self.unmetered = 0

    def series_of(self, provider: str, endpoint: str) -> Series:
        """Give the counts of one kind of call."""
        series = self.series.get((provider, endpoint))
        if series is None:
            series = self.series[(provider, endpoint)] = Series()
        return series

    def limited(self, rate: str) -> None:
        """Count a refusal for a rate limit."""
        self.rate_limited[rate] = self.rate_limited.get(rate, 0) + 1

    def turned_away(self, code: str) -> None:
        """Count a request that was refused before anybody was identified."""
        self.refused[code] = self.refused.get(code, 0) + 1
