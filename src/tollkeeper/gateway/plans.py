"""From a model's name to the bytes of a request's way: origin, path and credentials."""

from __future__ import annotations

from typing import Final, NamedTuple

from tollkeeper.domain.bedrock_names import callable_names, name_in_region
from tollkeeper.domain.errors import NotAllowed, Refused, UnknownRoute
from tollkeeper.domain.pricing import FIRST_PARTIES, PriceBook
from tollkeeper.domain.routing import (
    AuthStyle,
    AwsKey,
    CutPolicy,
    Dialect,
    Provider,
    RouteTable,
)
from tollkeeper.http1.origin import Origin, parse_base_url
from tollkeeper.runtime import Routing
from tollkeeper.wire.models import ListedModel

_PLANS_MAX: Final = 10_000
_GEMINI_BASE: Final = "/v1beta"
"""What stands in front of a model at Google, where a Vertex path has project and location."""

_AUTH_LINES: Final = {
    AuthStyle.BEARER: "authorization: Bearer {}\r\n",
    AuthStyle.X_API_KEY: "x-api-key: {}\r\n",
    AuthStyle.X_GOOG_API_KEY: "x-goog-api-key: {}\r\n",
    AuthStyle.API_KEY: "api-key: {}\r\n",
    AuthStyle.X_PORTKEY_API_KEY: "x-portkey-api-key: {}\r\n",
}


class Plan(NamedTuple):
    """Where one call goes, and to which kind of provider.

    ``head_lines`` are the Host line and the provider's own headers. ``aws_key`` signs the
    request where that is the credential. ``booked_model`` is the model behind a name that
    does not tell it, "" where the name does.
    """

    provider: str
    price_provider: str
    model: str
    origin: Origin
    base_path: str
    head_lines: bytes
    auth_lines: bytes
    injects_usage: bool
    cut_policy: CutPolicy
    login: bool
    api_key: bytes = b""
    kind: str = ""
    aws_key: AwsKey | None = None
    booked_model: str = ""

    def credential_lines(self, *, vendor_login: bool) -> bytes:
        """Give the header lines of our credential, none where the caller brought a login.

        Raises NotAllowed where logins are not passed on, and Refused where there is no key.
        """
        if vendor_login:
            if self.login:
                return b""
            raise NotAllowed(
                f"provider {self.provider!r} does not take callers' own logins here",
                code="login_not_allowed",
            )
        if self.auth_lines == _NO_KEY:
            error = Refused(
                f"the gateway has no API key for provider {self.provider!r}; whoever runs it "
                f"sets one with: tollkeeper providers set {self.provider}",
                code="provider_key_missing",
            )
            error.status = 503
            raise error
        return self.auth_lines

    def without_key(self, data: bytes) -> bytes:
        """Blot our key out of what a provider says; the length stays as it is."""
        keys = [self.api_key]
        if self.aws_key is not None:  # a signature that is refused is answered with what it signed
            keys += [self.aws_key.session_token.encode(), self.aws_key.access_key_id.encode()]
        for key in keys:
            if key and key in data:
                data = data.replace(key, b"*" * len(key))
        return data


_NO_KEY: Final = b"\0"
_BEDROCK: Final = "bedrock"


class Planner:
    """Plans calls on one routing. Remembers every plan; a reload makes a new planner."""

    def __init__(self, routing: Routing, book: PriceBook) -> None:
        self.seat_plans = routing.seat_plans
        self._routing = routing
        self._book = book
        self._table = RouteTable(routing.providers, routing.aliases, book.owner_of)
        self._plans: dict[tuple[str, Dialect, str], Plan] = {}
        self._through: dict[tuple[str, Dialect], Plan] = {}

    def plan(self, model: str, dialect: Dialect, kind: str = "") -> Plan:
        """Plan a call by its model; one on a ``kind``'s own path goes there if it can.

        Raises UnknownRoute or BadRequest.
        """
        plan = self._plans.get((model, dialect, kind))
        if plan is None:
            # What only Google has is also at Google's other address, under the same names.
            only_there = "" if dialect is Dialect.GEMINI else kind
            targets = self._table.targets(model, dialect, only_there)
            target = next((it for it in targets if it.provider.kind == kind), targets[0])
            plan = _plan(target.provider, target.model, dialect, target.provider.bases[dialect])
            elsewhere = dialect is Dialect.GEMINI and target.provider.kind != kind
            if kind and elsewhere and not plan.base_path.strip("/"):
                plan = plan._replace(base_path=_GEMINI_BASE)  # no such places there
            if len(self._plans) >= _PLANS_MAX:
                self._plans.clear()
            self._plans[(model, dialect, kind)] = plan
        return plan

    def plan_at(self, provider: str, model: str, dialect: Dialect) -> Plan:
        """Plan a call whose path names the provider: it goes below that provider's root."""
        found = self._routing.providers.get(provider) or self._routing.logins.get(provider)
        if found is None:
            raise UnknownRoute(
                f"there is no provider {provider!r} here; configured are: "
                + (", ".join(sorted(self._routing.providers)) or "none"),
                code="provider_not_found",
            )
        plan = self._through.get((provider, dialect))
        if plan is None:
            plan = self._through[(provider, dialect)] = _plan(found, "", dialect, found.root)
        return plan._replace(model=model, booked_model=_booked_model(found, model))

    def plan_for_login(self, kind: str, model: str, dialect: Dialect) -> Plan | None:
        """Plan a call that brings the login of a vendor's subscription, which lives elsewhere."""
        for provider in (*self._routing.providers.values(), *self._routing.logins.values()):
            if provider.kind == kind and dialect in provider.bases:
                return _plan(provider, model, dialect, provider.bases[dialect])
        return None

    def plan_unnamed(self, dialect: Dialect, kind: str = "") -> Plan:
        """Plan a call that names no model (files, stored responses): the dialect's own vendor.

        One that only one ``kind`` of provider knows goes to such a provider, or nowhere.
        """
        speaking = [
            provider for provider in self._routing.providers.values() if dialect in provider.bases
        ]
        if kind and dialect is not Dialect.GEMINI:
            speaking = [provider for provider in speaking if provider.kind == kind]
        own = [provider for provider in speaking if provider.kind in _VENDORS[dialect]]
        if not speaking:
            raise UnknownRoute(
                f"no configured provider speaks {kind or dialect}", code="no_provider"
            )
        chosen = (own or speaking)[0]
        return _plan(chosen, "", dialect, chosen.bases[dialect])

    def models(self) -> list[ListedModel]:
        """List what may be asked for by the name that is listed: aliases, then models.

        A provider lists the models that lead to it by their bare names; what it serves of
        other makers is listed with its own name in front, where it is a reseller (Azure).
        """
        listed = {
            alias: ListedModel(alias, "tollkeeper")
            for alias in self._routing.aliases
            if "*" not in alias
        }
        for name, provider in self._routing.providers.items():
            for model in provider.models or self._models_of(provider):
                listed.setdefault(model, ListedModel(model, name))
        return list(listed.values())

    def _models_of(self, provider: Provider) -> list[str]:
        known = self._book.models(provider.price_id)
        if provider.kind == _BEDROCK:
            known = callable_names(known, provider.region)
        own = {model for model in known if self._book.owner_of(model) == provider.price_id}
        if provider.price_id in FIRST_PARTIES:
            return [model for model in known if model in own]
        return [model if model in own else f"{provider.name}/{model}" for model in known]


_VENDORS: Final = {
    Dialect.OPENAI: ("openai", "azure"),
    Dialect.ANTHROPIC: ("anthropic",),
    Dialect.GEMINI: ("google", "vertex"),
    Dialect.COHERE: ("cohere",),
    Dialect.OLLAMA: ("ollama",),
    Dialect.WATSONX: ("watsonx",),
    Dialect.BEDROCK: (_BEDROCK,),
}


def _booked_model(provider: Provider, model: str) -> str:
    """Give the model that is booked where a name does not tell it whole, "" where it does.

    That is what the operator says of an inference profile, and the region of a plain name.
    """
    if provider.kind != _BEDROCK:
        return ""
    profiles = provider.profiles
    said = profiles.get(model) or profiles.get(model.rpartition("/")[2])
    return said or name_in_region(model, provider.region)


def _plan(provider: Provider, model: str, dialect: Dialect, base: str) -> Plan:
    place = parse_base_url(base)
    style = provider.auth.get(dialect, AuthStyle.BEARER)
    aws_key = provider.aws_key if style is AuthStyle.AWS_SIGNATURE else None
    if style is AuthStyle.NONE or aws_key is not None:
        auth = ""
    elif provider.api_key:
        auth = _AUTH_LINES[style].format(provider.api_key)
    else:
        auth = _NO_KEY.decode()
    own = "".join(f"{name}: {value}\r\n" for name, value in provider.headers.items())
    return Plan(
        provider=provider.name,
        price_provider=provider.name if provider.custom_prices is not None else provider.price_id,
        model=model,
        origin=place.origin,
        base_path=place.prefix,
        head_lines=b"host: " + place.origin.host_header + b"\r\n" + own.encode("latin-1"),
        auth_lines=auth.encode("latin-1"),
        injects_usage=provider.injects_usage,
        cut_policy=provider.cut_policy,
        login=provider.login,
        api_key=provider.api_key.encode("latin-1"),
        aws_key=aws_key,
        booked_model=_booked_model(provider, model),
        kind=provider.kind,
    )
