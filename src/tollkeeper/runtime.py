"""What one process holds: its settings as plain values and the ports it may use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tollkeeper.domain.networks import Networks
from tollkeeper.domain.routing import Provider
from tollkeeper.domain.seat_plans import SeatPlan


class GatewaySettings(NamedTuple):
    """What the operator chose for the data plane. Sizes in bytes, times in seconds.

    ``trusted_proxies`` are believed when they say whom a request is from; None for nobody.
    """

    body_bytes_max: int = 32 << 20
    upload_bytes_max: int = 512 << 20
    buffered_bytes_max: int = 512 << 20
    in_flight_max: int = 5_000
    drains_max: int = 200
    first_byte_s: float = 600.0
    abandoned_s: float = 60.0
    drain_s: float = 60.0
    store_away_s: float = 900.0
    refusal_status: int | None = None
    metrics_token: str = ""
    trusted_proxies: Networks | None = None


class Routing(NamedTuple):
    """Which providers there are and what leads to them. Replaced as a whole on a reload.

    ``logins`` are services that only callers' own logins lead to, and no model's name.
    ``seat_plans`` say which calls are paid by the month.
    """

    providers: Mapping[str, Provider]
    aliases: Mapping[str, list[str]]
    logins: Mapping[str, Provider] = {}
    seat_plans: tuple[SeatPlan, ...] = ()


FileMark = tuple[int, int, int]
"""What changes when a file does."""


def file_mark(path: Path) -> FileMark:
    """Give the mark of a file that is followed; one that is not there has a mark too."""
    try:
        state = path.stat()
    except OSError:
        return (0, 0, 0)
    return (state.st_mtime_ns, state.st_size, state.st_ino)
