"""Where a call goes: providers, aliases and the choice between them."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from tollkeeper.domain.errors import BadRequest, UnknownRoute


class Dialect(enum.StrEnum):
    """An API family: paths, body shapes and error shapes that belong together."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    COHERE = "cohere"
    OLLAMA = "ollama"
    WATSONX = "watsonx"
    BEDROCK = "bedrock"

    __hash__ = str.__hash__  # an enum's own is a function in Python, called for every look-up


class AuthStyle(enum.StrEnum):
    """Where a provider wants its key."""

    BEARER = "bearer"  # Authorization: Bearer …
    X_API_KEY = "x-api-key"
    X_GOOG_API_KEY = "x-goog-api-key"
    API_KEY = "api-key"
    X_PORTKEY_API_KEY = "x-portkey-api-key"
    AWS_SIGNATURE = "aws-signature"  # made anew for every request
    NONE = "none"


class CutPolicy(enum.StrEnum):
    """What to do with the provider when the client leaves in the middle of a stream."""

    DRAIN = "drain"  # it bills to the end anyway: read on, so that the usage is exact
    CANCEL = "cancel"  # it stops billing: hang up, and estimate what was produced


@dataclass(frozen=True, slots=True)
class AwsKey:
    """An access key of AWS, and what its signatures are good for: one service in one region."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    region: str
    service: str


@dataclass(frozen=True, slots=True)
class Provider:
    """One configured provider.

    ``name`` is the operator's word for it, ``kind`` the catalogue entry it is made from,
    ``price_id`` its id in the price book. ``bases`` gives the base URL for each dialect it
    speaks; ``root`` is where pass-through paths are appended.
    ``injects_usage`` tells that OpenAI-style streams must be asked for their usage.
    ``custom_prices`` are decimal strings in USD per million tokens for models without a
    book price (quantity name → price), None when the book applies.
    ``region`` is where requests are signed for, and ``aws_key`` what they are signed with,
    in place of an ``api_key``. ``profiles`` say which model an ARN stands for whose name
    tells none.
    """

    name: str
    kind: str
    price_id: str
    root: str
    bases: Mapping[Dialect, str]
    auth: Mapping[Dialect, AuthStyle]
    api_key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    injects_usage: bool = True
    cut_policy: CutPolicy = CutPolicy.CANCEL
    custom_prices: Mapping[str, str] | None = None
    models: tuple[str, ...] = ()
    login: bool = True
    """May a caller bring the vendor's own login instead of our key?"""
    region: str = ""
    aws_key: AwsKey | None = None
    profiles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """One provider and the model name that it will be asked for."""

    provider: Provider
    model: str


@dataclass(frozen=True, slots=True)
class RouteTable:
    """Model names to providers.

    ``aliases`` map a name or a glob to ordered targets ("openai/gpt-4.1-mini"), or to a
    provider's name alone, which keeps the model name. An exact name wins over a glob,
    a longer glob over a shorter one.
    ``owner_of`` names the book's provider of a model ("" when it knows none).
    """

    providers: Mapping[str, Provider]
    aliases: Mapping[str, Sequence[str]]
    owner_of: Callable[[str], str]

    def targets(self, model: str, dialect: Dialect, kind: str = "") -> list[Target]:
        """Give the ordered targets for a requested model.

        ``kind`` is whose API it is that the caller speaks, where only one vendor has it: what
        no alias and no provider's name sends elsewhere goes there, whatever it is called.
        Raises UnknownRoute when nothing is configured for the model, BadRequest when the
        provider that was found does not speak the caller's dialect.
        """
        if not model:
            raise BadRequest("the request names no model", code="model_missing")
        named = self._named(model)
        speaking = [target for target in named if dialect in target.provider.bases]
        if not speaking and kind and not self._is_sent(model):
            speaking = [
                Target(provider, model)
                for provider in self.providers.values()
                if provider.kind == kind and dialect in provider.bases
            ]
        if speaking:
            return speaking
        if named:
            raise BadRequest(
                f"provider {named[0].provider.name!r} has no {dialect} endpoint; "
                f"call it through {', '.join(sorted(named[0].provider.bases))}",
                code="dialect_not_spoken",
            )
        raise UnknownRoute(
            f"no configured provider serves model {model!r}; add the provider to "
            "tollkeeper.yaml, or name it: provider/model",
            code="model_not_found",
        )

    def _named(self, model: str) -> list[Target]:
        pattern = self._alias(model)
        if pattern is not None:
            return [self._target(text, model) for text in self.aliases[pattern]]
        name, slash, rest = model.partition("/")
        if slash and rest and name in self.providers:
            return [Target(self.providers[name], rest)]
        return [
            Target(provider, model)
            for provider in self.providers.values()
            if model in provider.models
        ] or self._owners(model)

    def _is_sent(self, model: str) -> bool:
        """Tell whether the operator, or the caller, says by name where a model is."""
        name, slash, rest = model.partition("/")
        return self._alias(model) is not None or bool(slash and rest and name in self.providers)

    def _alias(self, model: str) -> str | None:
        if model in self.aliases:
            return model
        globs = [glob for glob in self.aliases if fnmatchcase(model, glob)]
        return max(globs, key=len) if globs else None

    def _target(self, text: str, requested: str) -> Target:
        name, slash, rest = text.partition("/")
        if name not in self.providers:
            raise UnknownRoute(f"alias names provider {name!r}, which is not configured")
        return Target(self.providers[name], rest if slash else requested)

    def _owners(self, model: str) -> list[Target]:
        owner = self.owner_of(model)
        if not owner:
            return []
        return [
            Target(provider, model)
            for provider in self.providers.values()
            if provider.price_id == owner
        ]
