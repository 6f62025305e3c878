"""What the gateway answers by itself: the models, its health, its counts."""

from __future__ import annotations

import hmac
import json
from importlib import import_module
from ipaddress import ip_address
from typing import Final

from tollkeeper.domain.errors import Refused
from tollkeeper.gateway.answers import JSON_LINE, Answer
from tollkeeper.gateway.console_relay import ConsoleQuestion
from tollkeeper.gateway.head_notes import Caller
from tollkeeper.gateway.shared import Gateway
from tollkeeper.http1.exchange import BodySink, Exchange
from tollkeeper.http1.messages import Request
from tollkeeper.telemetry import logger
from tollkeeper.wire.models import model_body, models_body, models_dialect
from tollkeeper.wire.refusals import refusal

_TEXT: Final = b"content-type: text/plain; version=0.0.4; charset=utf-8\r\n"
_EXPOSITION: Final = "tollkeeper.gateway.exposition"
_PLAIN: Final = b"content-type: text/plain; charset=utf-8\r\n"
_NO_STORE: Final = b"cache-control: no-store\r\n"


class LocalAnswers:
    """Answers that need no provider."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def models(self, exchange: Exchange, caller: Caller) -> BodySink:
        """List the models that a key may use, in its caller's own shape."""
        found, request = caller.notes.match, caller.notes.request
        dialect = models_dialect(found, request.header)
        allowed = [
            listed
            for listed in self._gateway.planner.models()
            if _may(caller, listed.owner, listed.model.removeprefix(f"{listed.owner}/"))
        ]
        try:
            body = (
                model_body(allowed, found.model, dialect)
                if found.model
                else models_body(allowed, dialect, request.query.decode("latin-1"))
            )
        except Refused as error:
            endpoint = found.endpoint._replace(dialect=dialect)
            reply = refusal(error, endpoint, call_id=self._gateway.ids.next(caller.now_us // 1000))
            return Answer(exchange, reply.status, reply.headers, reply.body)
        return Answer(exchange, 200, JSON_LINE, body)

    def answer(self, request: Request, exchange: Exchange, path: str) -> BodySink | None:
        """Answer a request about the gateway itself; None for every other path."""
        if request.method not in {b"GET", b"HEAD"}:
            return None
        if path == "/healthz":
            return Answer(exchange, 200, JSON_LINE + _NO_STORE, b'{"status":"ok"}')
        if path == "/readyz":
            return self._ready(exchange)
        if path == "/metrics":
            return self._metrics(request, exchange)
        return None

    def _ready(self, exchange: Exchange) -> BodySink:
        """Ready means that a call could be made now: a real write and a real read say so."""
        gateway = self._gateway
        checks = {
            "draining": gateway.draining,
            "journal": True,
            "store": gateway.locked is None,
            "configuration": not gateway.config_fault,
        }
        if not gateway.draining:
            try:
                gateway.journal.probe()
            except OSError as error:
                logger.error("not ready", extra={"error": str(error)})
                checks["journal"] = False
        ready = checks["journal"] and checks["store"] and not gateway.draining
        body = json.dumps({"status": "ready" if ready else "not ready", **checks}).encode()
        return Answer(exchange, 200 if ready else 503, JSON_LINE + _NO_STORE, body)

    def _metrics(self, request: Request, exchange: Exchange) -> BodySink:
        token = self._gateway.settings.metrics_token
        if token:
            given = (request.header(b"authorization") or b"").partition(b" ")[2]
            allowed = hmac.compare_digest(given, token.encode())
        else:
            proxied = request.header(b"x-forwarded-for") is not None
            allowed = not proxied and _is_this_machine(exchange.peer)
        if not allowed:
            return Answer(exchange, 403, _PLAIN, b"metrics need the token of metrics.token\n")
        return MetricsAnswer(self._gateway, exchange)


class MetricsAnswer:
    """Writes the gateway's own metrics, and the console's behind them where it answers."""

    def __init__(self, gateway: Gateway, exchange: Exchange) -> None:
        self._gateway = gateway
        self._exchange = exchange

    def body(self, data: bytes) -> None:
        """A scrape has no body."""

    def body_end(self) -> None:
        console = self._gateway.console
        if console is None:
            self._write(0, b"")
        else:
            path = b"/internal/metrics"
            ConsoleQuestion(self._gateway, console, path, b"").ask(self._write)

    def _write(self, status: int, from_console: bytes) -> None:
        up = status == 200
        gauges = gauges_of(self._gateway) | {
            "tollkeeper_console_up": ("1 while the console process answers", float(up))
        }
        own = import_module(_EXPOSITION).exposition(self._gateway.counters, gauges)
        self._exchange.send(200, _TEXT + _NO_STORE, own + (from_console if up else b""))

    def client_gone(self) -> None:
        """Nothing was begun."""

    def client_writable(self, *, writable: bool) -> None:
        """The answer is small."""


def gauges_of(gateway: Gateway) -> dict[str, tuple[str, float]]:
    """Give the state of the moment: name → (help, value)."""
    return {
        "tollkeeper_in_flight": ("Calls being carried", len(gateway.relays)),
        "tollkeeper_open_calls": ("Calls held in the journal", gateway.journal.open_calls),
        "tollkeeper_draining_streams": ("Streams read on for their usage", gateway.drains),
        "tollkeeper_configuration_faulty": (
            "1 while the latest configuration could not be taken over",
            float(bool(gateway.config_fault)),
        ),
        "tollkeeper_rate_limit_places": ("Places taken at rate limits", gateway.rates.in_use),
        "tollkeeper_rate_limit_entities": (
            "Keys, people, teams and models that rate limits count apart",
            gateway.rates.entities,
        ),
        "tollkeeper_buffered_bytes": ("Request bodies in memory", gateway.buffered_bytes),
        "tollkeeper_upstream_busy": ("Upstream connections in use", gateway.pool.busy),
        "tollkeeper_upstream_opened": ("Upstream connections opened so far", gateway.pool.opened),
        **({} if gateway.desk is None else gateway.desk.gauges()),
    }


def _may(caller: Caller, provider: str, model: str) -> bool:
    try:
        caller.key.require_model(provider, model)
    except Refused:
        return False
    return True


def _is_this_machine(peer: str) -> bool:
    try:
        return not peer or ip_address(peer).is_loopback
    except ValueError:
        return False
