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

from tollkeeper.services.settlement import Ending

_BUCKETS_S: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Histogram:
    """Counts durations in fixed buckets."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(_BUCKETS_S) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Take in one duration."""
        self.counts[bisect_left(_BUCKETS_S, seconds)] += 1
        self.sum_s += seconds


class Counters:
    """Plain counts, raised on the hot path and read by a scrape."""

    def __init__(self) -> None:
        self.calls: dict[tuple[str, str, str], int] = {}  # (provider, endpoint, outcome)
        self.tokens: dict[tuple[str, str], int] = {}  # (provider, direction)
        self.refused: dict[str, int] = {}  # code of a refusal before any identity was known
        self.durations: dict[str, Histogram] = {}  # provider
        self.first_bytes: dict[str, Histogram] = {}  # provider
        self.disconnects = 0
        self.drained = 0
        self.unmetered = 0

    def ended(self, provider: str, endpoint: str, ending: Ending) -> None:
        """Count one call that ended."""
        key = (provider, endpoint, ending.outcome)
        self.calls[key] = self.calls.get(key, 0) + 1
        durations = self.durations.get(provider)
        if durations is None:
            durations = self.durations[provider] = Histogram()
            self.first_bytes[provider] = Histogram()
        durations.add(ending.duration_ms / 1000)
        if ending.ttft_ms is not None:
            self.first_bytes[provider].add(ending.ttft_ms / 1000)

    def used(self, provider: str, input_tokens: int, output_tokens: int) -> None:
        """Count the tokens of one call."""
        tokens = self.tokens
        key_in, key_out = (provider, "input"), (provider, "output")
        tokens[key_in] = tokens.get(key_in, 0) + input_tokens
        tokens[key_out] = tokens.get(key_out, 0) + output_tokens

    def turned_away(self, code: str) -> None:
        """Count a request that was refused before anybody was identified."""
        self.refused[code] = self.refused.get(code, 0) + 1


class _GatewayCollector(Collector):
    def __init__(self, counters: Counters, gauges: dict[str, tuple[str, float]]) -> None:
        self._counters = counters
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        counters = self._counters
        calls = CounterMetricFamily(
            "tollkeeper_calls", "Calls that ended", labels=["provider", "endpoint", "outcome"]
        )
        for labels, count in counters.calls.items():
            calls.add_metric(labels, count)
        yield calls
        tokens = CounterMetricFamily(
            "tollkeeper_tokens", "Tokens of calls that ended", labels=["provider", "direction"]
        )
        for token_labels, count in counters.tokens.items():
            tokens.add_metric(token_labels, count)
        yield tokens
        refused = CounterMetricFamily(
            "tollkeeper_unidentified_refusals",
            "Requests refused before a key was recognised",
            labels=["code"],
        )
        for code, count in counters.refused.items():
            refused.add_metric([code], count)
        yield refused
        yield _histogram("tollkeeper_call_seconds", "Duration of calls", counters.durations)
        yield _histogram(
            "tollkeeper_first_byte_seconds", "Time to a reply's first byte", counters.first_bytes
        )
        for name, help_text, value in (
            ("tollkeeper_client_disconnects", "Clients that left early", counters.disconnects),
            ("tollkeeper_drained_streams", "Streams read on after that", counters.drained),
            ("tollkeeper_unmetered_replies", "Replies without usage", counters.unmetered),
        ):
            yield CounterMetricFamily(name, help_text, value=value)
        for name, (help_text, gauge) in self._gauges.items():
            yield GaugeMetricFamily(name, help_text, value=gauge)


def _histogram(name: str, help_text: str, values: dict[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, help_text, labels=["provider"])
    for provider, histogram in values.items():
        total = 0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip((*_BUCKETS_S, float("inf")), histogram.counts, strict=True):
            total += count
            buckets.append(("+Inf" if bound == float("inf") else str(bound), total))
        family.add_metric([provider], buckets, histogram.sum_s)
    return family


def exposition(counters: Counters, gauges: dict[str, tuple[str, float]]) -> bytes:
    """Write the counts, and gauges of the moment (name → help, value), for Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_GatewayCollector(counters, gauges))
    return generate_latest(registry)
