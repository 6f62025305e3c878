"""Who calls, and with what: profiles of the made-up company's calls, and sessions that begin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tollkeeper.demo.company import ORG, Company, Customer, Person, ServiceKey
from tollkeeper.demo.dice import Choices, Dice
from tollkeeper.demo.services import RUNAWAY
from tollkeeper.demo.sessions import AgentSession, Conversation, Loop, Session, Thief
from tollkeeper.demo.stories import DAY_US
from tollkeeper.demo.tools import AGENTS, CODEX_LOGIN, OPUS, SDK_VERSIONS, Api, Model, Tool
from tollkeeper.domain.calls import Profile
from tollkeeper.domain.pricing import PriceBook

_LONG_CACHE_PART: Final = 5  # one in so many people keeps the cache for an hour
_THIEFS_TOOL: Final = ("python-requests", "2.32.5")
_NOBODY: Final = Customer("", 0)
_GROWS_DAYS: Final = 20


class Callers:
    """Begins sessions of people and apps."""

    def __init__(self, company: Company, dice: Dice, book: PriceBook) -> None:
        self._company = company
        self._dice = dice
        self._book = book
        self._customers = Choices(company.customers, [it.weight for it in company.customers])
        self._models: dict[str, Choices[Model]] = {}
        self._day = -1
        self._people: Choices[tuple[Person, Tool]] = Choices((), ())
        self._apps: Choices[ServiceKey] = Choices((), ())
        self._nightly: Choices[ServiceKey] = Choices((), ())

    def on(self, day: int) -> None:
        """Turn to a day since 1970."""
        if day == self._day:
            return
        self._day = day
        at_work = [
            (each, AGENTS[tool])
            for each in self._company.people
            if (tool := each.tool_on(day)) and not (each.left_day and day >= each.left_day)
        ]
        self._people = Choices(at_work, [each.weight for each, _ in at_work])
        running = [each for each in self._company.services if self._age(each) > 0]
        by_day = [each for each in running if not each.service.nightly]
        self._apps = Choices(by_day, [self._weight(each) for each in by_day])
        nightly = [each for each in running if each.service.nightly]
        self._nightly = Choices(nightly, [self._weight(each) for each in nightly])

    def _age(self, app: ServiceKey) -> int:
        since = app.service.since
        return self._day - (self._company.today - since) + 1 if since else _GROWS_DAYS

    def _weight(self, app: ServiceKey) -> float:
        return app.service.weight * min(1.0, self._age(app) / _GROWS_DAYS)

    def somebody(self) -> tuple[Person, Tool]:
        """Choose somebody who works with an agent."""
        return self._people.one(self._dice)

    def agent(self, person: Person, tool: Tool, turns: int) -> AgentSession:
        """Begin a session of a person with an agent."""
        dice = self._dice
        model = self._model(tool.name, tool.models)
        api = CODEX_LOGIN if person.flat_rate and tool.name == "codex" else model.api
        lasting = int(person.weight * 1_000) % _LONG_CACHE_PART == 0
        part = (self._day - self._company.first_day) * len(tool.versions) // 90
        version = tool.versions[min(max(part, 0), len(tool.versions) - 1)]
        leaked = person.user_id == self._company.leaked.user_id
        is_new = leaked and self._day * DAY_US >= self._company.stories.leak.until_us
        profile = self._profile(
            api,
            model.name,
            team=person.team,
            user=(person.user_id, person.name),
            key=(self._company.second_key_id, "laptop, new")
            if is_new
            else (person.key_id, "laptop"),
            tool=(tool.name, version),
            session=f"{dice.bits(64):016x}",
            streamed=True,
            flat_rate=person.flat_rate and api.provider in {"anthropic", "chatgpt"},
        )
        return AgentSession(person.user_id, api, profile, turns, long_cache=lasting)

    def app(self, *, nightly: bool = False) -> Conversation:
        """Begin a conversation of an app."""
        dice = self._dice
        chosen = (self._nightly if nightly else self._apps).one(dice)
        shape = chosen.service.shape
        turns = dice.turns(shape.turns)
        if shape.repeats and dice.chance() < shape.repeats:
            turns += 1 + dice.below(3)
        model = self._model(chosen.service.key_name, chosen.service.models)
        return Conversation(model.api, self._app_profile(chosen, model), shape, turns)

    def loop(self, turns: int, pause_us: int) -> Loop:
        """Begin the loop that repeats one call."""
        app = next(it for it in self._company.services if it.service.key_name == RUNAWAY)
        model = app.service.models[0]
        profile = self._app_profile(app, model, self._company.customers[17], "production")
        return Loop(model.api, profile._replace(session_id="nightly-import-4711"), turns, pause_us)

    def thief(self, turns: int, pause_us: int) -> Thief:
        """Begin what somebody does with a key that is not theirs."""
        owner = self._company.leaked
        profile = self._profile(
            OPUS.api,
            OPUS.name,
            team=owner.team,
            user=(owner.user_id, owner.name),
            key=(owner.key_id, "laptop"),
            tool=_THIEFS_TOOL,
        )
        return Thief(OPUS.api, profile, turns, pause_us)

    def refused(self) -> Profile:
        """Give the profile of a call of Growth that its budget leaves no room for."""
        growth = [it for it in self._company.services if it.service.team == "Growth"]
        app = growth[self._dice.below(len(growth))]
        return self._app_profile(app, self._model(app.service.key_name, app.service.models))

    def _model(self, name: str, models: tuple[Model, ...]) -> Model:
        if len(models) == 1:
            return models[0]
        if name not in self._models:
            self._models[name] = Choices(models, [model.weight for model in models])
        return self._models[name].one(self._dice)

    def _app_profile(
        self, app: ServiceKey, model: Model, customer: Customer | None = None, env: str = ""
    ) -> Profile:
        dice, service = self._dice, app.service
        if customer is None:
            customer = self._customers.one(dice) if service.for_customers else _NOBODY
        tags = {
            "feature": service.features[dice.below(len(service.features))],
            "env": env or ("staging" if dice.chance() < 0.06 else "production"),
        }
        if customer.name:
            tags["customer"] = customer.name
        return self._profile(
            model.api,
            model.name,
            team=service.team,
            key=(app.key_id, service.key_name),
            tool=(service.tool, SDK_VERSIONS[service.tool]),
            customer=customer.name,
            session=f"c-{dice.bits(48):012x}" if service.for_customers else "",
            streamed=service.shape.turns > 1,
            tags=tags,
        )

    def _profile(
        self,
        api: Api,
        model: str,
        *,
        team: str,
        key: tuple[str, str],
        tool: tuple[str, str],
        user: tuple[str, str] = ("", ""),
        customer: str = "",
        session: str = "",
        streamed: bool = False,
        flat_rate: bool = False,
        tags: Mapping[str, str] | None = None,
    ) -> Profile:
        return Profile(
            org=ORG,
            team=team,
            user_id=user[0],
            user_name=user[1],
            key_id=key[0],
            key_name=key[1],
            end_customer=customer,
            session_id=session,
            tool=tool[0],
            tool_version=tool[1],
            provider=api.provider,
            price_provider=self._book.place(api.price_provider, api.provider, team),
            model=model,
            model_requested=model,
            endpoint=api.endpoint,
            wire=api.wire,
            streamed=streamed,
            flat_rate=flat_rate,
            tags=tags or {},
        )


def is_due(session: Session) -> bool:
    """Tell whether a session goes on."""
    return session.turns_left > 0
