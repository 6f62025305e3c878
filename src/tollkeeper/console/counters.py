"""What the console counts about itself, and its metrics as Prometheus reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tollkeeper.services.loading import LoaderStatus


class ConsoleCounters:
    """Plain counts. Labels are routes of the table and statuses, never what was sent."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()  # (route, status)
        self.duration_ms: Counter[str] = Counter()
        self.sign_ins: Counter[str] = Counter()  # "done" or "refused"

    def answered(self, route: str, status: int, duration_ms: int) -> None:
        """Count one answer."""
        self.requests[route, status] += 1
        self.duration_ms[route] += duration_ms


class _Collected(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


def exposition(
    counters: ConsoleCounters, loader: LoaderStatus, gauges: dict[str, tuple[str, float]]
) -> bytes:
    """Write all metrics. ``gauges`` maps a name to its help text and its value."""
    requests = CounterMetricFamily(
        "tollkeeper_console_requests", "Requests answered", labels=["route", "status"]
    )
    for (route, status), count in sorted(counters.requests.items()):
        requests.add_metric([route, str(status)], count)
    duration = CounterMetricFamily(
        "tollkeeper_console_duration_ms", "Time spent answering", labels=["route"]
    )
    for route, duration_ms in sorted(counters.duration_ms.items()):
        duration.add_metric([route], duration_ms)
    sign_ins = CounterMetricFamily(
        "tollkeeper_console_sign_ins", "Sign-ins that were tried", labels=["result"]
    )
    for result in ("done", "refused"):
        sign_ins.add_metric([result], counters.sign_ins[result])
    metrics: list[Metric] = [requests, duration, sign_ins, *_of_loader(loader)]
    metrics += [
        GaugeMetricFamily(name, text, value=value) for name, (text, value) in gauges.items()
    ]
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(metrics))
    return generate_latest(registry)


def _of_loader(status: LoaderStatus) -> Iterator[Metric]:
    for name, text, count in (
        ("loaded", "Entries moved into the ledger", status.loaded),
        ("damaged", "Journal records that failed their checksum", status.damaged),
        ("rejected", "Entries that no column could hold", status.rejected),
        ("failures", "Times that loading failed", status.failures),
    ):
        yield CounterMetricFamily(f"tollkeeper_loader_{name}", text, value=count)
    for name, text, value in (
        ("rate_per_second", "Entries loaded a second, lately", status.rate_per_s),
        ("lag_entries", "Entries known to wait", float(status.lag_entries)),
        ("lag_seconds", "How long ago the oldest waiting call ended", status.lag_s),
        ("segments", "Journal segments on disk", float(status.segments)),
        ("up", "1 while loading works", float(not status.fault)),
    ):
        yield GaugeMetricFamily(f"tollkeeper_loader_{name}", text, value=value)
