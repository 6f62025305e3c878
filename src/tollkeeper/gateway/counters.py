"""What the gateway counts about itself, for /metrics. Labels come from closed sets only."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tollkeeper.domain.usage import INPUT_TOKENS, OUTPUT_TOKENS
from tollkeeper.services.settlement import Ending

_BOUNDS_MS: Final = (10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000)
_INPUT: Final = frozenset(INPUT_TOKENS)
_OUTPUT: Final = frozenset(OUTPUT_TOKENS)


class Series:
    """The counts of one kind of call at one provider."""

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {}
        self.input_tokens = 0
        self.output_tokens = 0
        self.duration_counts = [0] * (len(_BOUNDS_MS) + 1)
        self.duration_ms = 0
        self.first_byte_counts = [0] * (len(_BOUNDS_MS) + 1)
        self.first_byte_ms = 0

    def add(self, ending: Ending) -> int:
        """Count one call; give its output tokens."""
        outcome, duration_ms, ttft_ms = ending.outcome, ending.duration_ms, ending.ttft_ms
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        self.duration_counts[bisect_left(_BOUNDS_MS, duration_ms)] += 1
        self.duration_ms += duration_ms
        if ttft_ms is not None:
            self.first_byte_counts[bisect_left(_BOUNDS_MS, ttft_ms)] += 1
            self.first_byte_ms += ttft_ms
        output = 0
        if ending.usage is not None:
            for name, count in ending.usage.quantities.items():
                if name in _OUTPUT:
                    output += count
                elif name in _INPUT:
                    self.input_tokens += count
            self.output_tokens += output
        return output


class Counters:
    """Plain counts, raised on the hot path and read by a scrape."""

    def __init__(self) -> None:
        self.series: dict[tuple[str, str], Series] = {}  # (provider, endpoint)
        self.refused: dict[str, int] = {}  # code of a refusal before any identity was known
        self.disconnects = 0
        self.drained = 0
        self.unmetered = 0

    def series_of(self, provider: str, endpoint: str) -> Series:
        """Give the counts of one kind of call."""
        series = self.series.get((provider, endpoint))
        if series is None:
            series = self.series[(provider, endpoint)] = Series()
        return series

    def turned_away(self, code: str) -> None:
        """Count a request that was refused before anybody was identified."""
        self.refused[code] = self.refused.get(code, 0) + 1


class _GatewayCollector(Collector):
    def __init__(self, counters: Counters, gauges: dict[str, tuple[str, float]]) -> None:
        self._counters = counters
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        yield from self._per_call()
        counters = self._counters
        refused = CounterMetricFamily(
            "tollkeeper_unidentified_refusals",
            "Requests refused before a key was recognised",
            labels=["code"],
        )
        for code, count in counters.refused.items():
            refused.add_metric([code], count)
        yield refused
        for name, help_text, value in (
            ("tollkeeper_client_disconnects", "Clients that left early", counters.disconnects),
            ("tollkeeper_drained_streams", "Streams read on after that", counters.drained),
            ("tollkeeper_unmetered_replies", "Replies without usage", counters.unmetered),
        ):
            yield CounterMetricFamily(name, help_text, value=value)
        for name, (help_text, gauge) in self._gauges.items():
            yield GaugeMetricFamily(name, help_text, value=gauge)

    def _per_call(self) -> Iterator[Metric]:
        labels = ["provider", "endpoint"]
        calls = CounterMetricFamily(
            "tollkeeper_calls", "Calls that ended", labels=[*labels, "outcome"]
        )
        tokens = CounterMetricFamily(
            "tollkeeper_tokens", "Tokens of calls that ended", labels=[*labels, "direction"]
        )
        durations = HistogramMetricFamily(
            "tollkeeper_call_seconds", "Duration of calls", labels=labels
        )
        first_bytes = HistogramMetricFamily(
            "tollkeeper_first_byte_seconds", "Time to a reply's first byte", labels=labels
        )
        for key, series in self._counters.series.items():
            for outcome, count in series.outcomes.items():
                calls.add_metric([*key, outcome], count)
            tokens.add_metric([*key, "input"], series.input_tokens)
            tokens.add_metric([*key, "output"], series.output_tokens)
            durations.add_metric(
                list(key), _buckets(series.duration_counts), series.duration_ms / 1000
            )
            first_bytes.add_metric(
                list(key), _buckets(series.first_byte_counts), series.first_byte_ms / 1000
            )
        yield from (calls, tokens, durations, first_bytes)


def _buckets(counts: list[int]) -> list[tuple[str, float]]:
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound_ms, count in zip((*_BOUNDS_MS, None), counts, strict=True):
        total += count
        buckets.append(("+Inf" if bound_ms is None else str(bound_ms / 1000), total))
    return buckets


def exposition(counters: Counters, gauges: dict[str, tuple[str, float]]) -> bytes:
    """Write the counts, and gauges of the moment (name → help, value), for Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_GatewayCollector(counters, gauges))
    return generate_latest(registry)
