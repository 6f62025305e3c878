"""What can be configured: one structure, with defaults that suit a first start."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from tollkeeper.config.alert_options import AlertOptions
from tollkeeper.config.digest import DigestOptions
from tollkeeper.config.mail import MailOptions
from tollkeeper.config.self_service import KeyOptions
from tollkeeper.config.sharing import StatementOptions
from tollkeeper.config.sign_in import SignInOptions

Positive = Annotated[int, msgspec.Meta(gt=0)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]


class Listen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the one port is. Anything but loopback is meant to be said."""

    host: str = "127.0.0.1"
    port: Port = 4000
    tls_cert: str = ""
    tls_key: str = ""
    trusted_proxies: list[str] = []


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes and counts above which the gateway refuses."""

    body_mb: Positive = 32
    upload_mb: Positive = 512  # multipart bodies, which are never buffered
    in_flight: Positive = 5_000
    connections: Positive = 10_000
    upstream_connections: Positive = 2_000  # for each provider
    upstream_waiting: Positive = 1_000
    drains: Annotated[int, msgspec.Meta(ge=0)] = 200  # abandoned streams read to their end
    rate_share: Literal["each", "divide"] = "each"  # of rate limits, by gateways on one store


class Timeouts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long to wait for what, in seconds."""

    head_s: Seconds = 10.0
    idle_s: Seconds = 75.0
    stalled_s: Seconds = 300.0
    connect_s: Seconds = 10.0
    wait_s: Seconds = 10.0
    first_byte_s: Seconds = 600.0
    silence_s: Seconds = 300.0
    upstream_idle_s: Seconds = 50.0
    drain_s: Seconds = 60.0  # for all calls, when the gateway is told to stop
    abandoned_s: Seconds = 60.0  # for one stream, after its client left
    store_away_s: Seconds = 900.0  # known keys stay good while the store cannot be asked


class JournalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``fsync: always`` trades speed for a journal that survives power cuts to the last record."""

    fsync: Literal["group", "always"] = "group"
    segment_mb: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 32


class Refusals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``status`` forces one status for all refusals because of a budget."""

    status: Literal[0, 402, 422, 429] = 0


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Without a token only this machine may read /metrics."""

    token: str = ""


class PriceRuleOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule of ``prices``: whom it concerns, and own prices or a discount."""

    name: str = ""
    provider: str = "*"
    model: str = "*"
    team: str = "*"
    usd: dict[str, Any] = {}
    discount_bp: int = 0
    discount: str = ""
    since: Any = None
    until: Any = None
    reason: str = ""


class PlanOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One flat-rate plan: what is paid by the seat and month, whatever is used."""

    name: str
    provider: str
    seat_usd: Any
    seats: Positive = 1
    team: str = "*"
    covers: Literal["logins", "all"] = "logins"


class AdoptionOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``group_min`` is how many people a figure about use is of at least."""

    group_min: Annotated[int, msgspec.Meta(ge=2, le=1_000)] = 5


class PrivacyOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``mask_people`` lets reports show other people under pseudonyms, until somebody says why."""

    mask_people: bool = True


class RateLimitOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule of ``rate_limits``: whose calls are counted, and how many there may be."""

    name: str
    scope: str
    match: str = "*"
    each: bool = False
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    parallel: int | None = None


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything in tollkeeper.yaml. ``providers`` is checked by the catalogue."""

    org: str = ""
    data: str = "tollkeeper-data"
    listen: Listen = Listen()
    providers: dict[str, dict[str, Any] | None] = {}
    models: dict[str, str | list[str]] = {}
    prices: list[PriceRuleOptions] = []
    plans: list[PlanOptions] = []
    rate_limits: list[RateLimitOptions] = []
    budgets: list[dict[str, Any]] = []
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    journal: JournalSettings = JournalSettings()
    refusals: Refusals = Refusals()
    metrics: Metrics = Metrics()
    alerts: AlertOptions = AlertOptions()
    keys: KeyOptions = KeyOptions()
    sign_in: SignInOptions = SignInOptions()
    mail: MailOptions = MailOptions()
    digest: DigestOptions = DigestOptions()
    adoption: AdoptionOptions = AdoptionOptions()
    privacy: PrivacyOptions = PrivacyOptions()
    statements: StatementOptions = StatementOptions()
    sandbox: Literal["auto", "on", "off"] = "auto"
    timezone: str = "UTC"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    ca_file: str = ""
    https_proxy: str = ""
    http_proxy: str = ""
    no_proxy: str = ""
    public_url: str = ""
    store: str = ""
    ledger: str = ""
    failpoint: str = ""


NOT_YET = {
    "retention": "retention is not part of this version; prompts and replies are never stored",
}
"""Sections of later versions: refusing them is safer than to seem to obey them."""
