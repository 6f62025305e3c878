"""What a running gateway says of its own state: the gauges of /metrics."""

from __future__ import annotations

import time

from raw_http import get
from running import Deployment

_AT_REST = (
    "tollkeeper_in_flight",
    "tollkeeper_open_calls",
    "tollkeeper_draining_streams",
    "tollkeeper_buffered_bytes",
    "tollkeeper_upstream_busy",
)


def metrics(gateway: Deployment) -> dict[str, float]:
    """Read every series of a gateway: name with labels → value."""
    text = get(gateway.port, "/metrics").body.decode()
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def wait_for(gateway: Deployment, series: str, value: float, wait_s: float = 20.0) -> None:
    """Wait until a series has a value."""
    deadline_s = time.monotonic() + wait_s
    while (found := metrics(gateway).get(series)) != value:
        assert time.monotonic() < deadline_s, f"{series} stayed {found}, not {value}"
        time.sleep(0.02)


def wait_until_at_rest(gateway: Deployment, wait_s: float = 20.0) -> None:
    """Wait until no call is under way, and nothing of one is left behind."""
    deadline_s = time.monotonic() + wait_s
    while left := {name: at for name, at in metrics(gateway).items() if name in _AT_REST and at}:
        assert time.monotonic() < deadline_s, f"left behind: {left}"
        time.sleep(0.02)
