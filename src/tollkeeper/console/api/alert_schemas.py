"""Shapes of the API's answers about alerts, as JSON Schema."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.api.schemas import COUNT, TEXT, TIME, Schema, exactly, listed, or_null
from tollkeeper.domain.alerts import AlertState
from tollkeeper.domain.anomalies import AnomalyRule
from tollkeeper.domain.deliveries import DeliveryState

_FLAG: Final[Schema] = {"type": "boolean"}
_STATE: Final[Schema] = {"enum": list(DeliveryState)}


def alert_schemas() -> dict[str, Schema]:
    """Give the named schemas."""
    return {
        "Alert": _alert(),
        "Delivery": exactly(
            {**dict.fromkeys(("id", "message_id", "event", "title"), TEXT), **_outcome()}
            | {"created_at": TIME}
        ),
        "DeliveryOutcome": exactly(_outcome()),
        "Channel": _channel(),
        "AlertRule": exactly(
            {
                "id": {"enum": list(AnomalyRule)},
                "state": {"enum": ["quiet", "fired", "unknown", "off"]},
                "detail": or_null(TEXT),
                "looked_at": or_null(TIME),
            }
        ),
    }


def _alert() -> Schema:
    texts = ("id", "rule", "subject", "entity", "name", "title", "unit", "value", "limit")
    times = ("window_start", "fired_at", "changed_at")
    return exactly(
        {
            **dict.fromkeys(texts, TEXT),
            **dict.fromkeys(times, TIME),
            "state": {"enum": list(AlertState)},
            "threshold_percent": or_null(TEXT),
            "round": COUNT,
            "window_end": or_null(TIME),
            "acknowledged_by": or_null(TEXT),
            "told": listed(exactly({"channel": TEXT, "state": _STATE})),
        }
    )


def _outcome() -> dict[str, Schema]:
    return {
        "channel": TEXT,
        "state": _STATE,
        "attempts": COUNT,
        **dict.fromkeys(("status", "latency_ms"), or_null(COUNT)),
        **dict.fromkeys(("fault", "reply"), or_null(TEXT)),
        "changed_at": TIME,
        "next_at": or_null(TIME),
    }


def _channel() -> Schema:
    return exactly(
        {
            **dict.fromkeys(("id", "kind", "address"), TEXT),
            "events": listed(TEXT),
            "digest": _FLAG,
            "recoveries": _FLAG,
            "state": {"enum": ["open", "closed"]},
            "failures": COUNT,
            "fault": or_null(TEXT),
            **dict.fromkeys(("closed_at", "delivered_at"), or_null(TIME)),
        }
    )
