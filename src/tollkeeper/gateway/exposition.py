"""The gateway's counts as Prometheus reads them. Loaded at the first scrape, not at the start."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tollkeeper.gateway.counters import BOUNDS_MS, Counters


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
        limited = CounterMetricFamily(
            "tollkeeper_rate_limit_refusals",
            "Calls refused for a rate limit",
            labels=["limit"],
        )
        for rate, count in counters.rate_limited.items():
            limited.add_metric([rate], count)
        yield limited
        repeated = CounterMetricFamily(
            "tollkeeper_repeated_refusals",
            "Refusals of one key for one reason after the first, written together",
            labels=["code"],
        )
        for code, count in counters.repeated.items():
            repeated.add_metric([code], count)
        yield repeated
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
    for bound_ms, count in zip((*BOUNDS_MS, None), counts, strict=True):
        total += count
        buckets.append(("+Inf" if bound_ms is None else str(bound_ms / 1000), total))
    return buckets


def exposition(counters: Counters, gauges: dict[str, tuple[str, float]]) -> bytes:
    """Write the counts, and gauges of the moment (name → help, value), for Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_GatewayCollector(counters, gauges))
    return generate_latest(registry)
