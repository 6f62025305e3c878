"""What goes on for a while: a person's session with an agent, a conversation with an app.

Each gives the quantities of its next call. Prompts grow with every turn, and are read from the
provider's cache unless the pause before was too long for it.
"""

from __future__ import annotations

from typing import Final, Protocol

from tollkeeper.demo.dice import Dice
from tollkeeper.demo.services import Shape
from tollkeeper.demo.tools import Api
from tollkeeper.domain import usage as u
from tollkeeper.domain.calls import Profile

SECOND_US: Final = 1_000_000
_CACHE_US: Final = 300 * SECOND_US
_CACHE_LONG_US: Final = 3_600 * SECOND_US
_CONTEXT_MAX: Final = 150_000
_COMPACTED: Final = 26_000
_TOOLS_TOKENS: Final = 14_500  # instructions and tools, the same for everybody
_BLOCK: Final = 128  # OpenAI and others cache whole blocks


class Session(Protocol):
    """Something that makes calls. ``turns_left`` are still to come."""

    api: Api
    profile: Profile
    turns_left: int

    def quantities(self, dice: Dice, at_us: int) -> dict[str, int]:
        """Give what the next call uses."""

    def pause_us(self, dice: Dice) -> int:
        """Say how long it takes until the next call."""


class AgentSession:
    """A person's session with a coding agent."""

    def __init__(
        self, owner: str, api: Api, profile: Profile, turns: int, *, long_cache: bool
    ) -> None:
        self.owner = owner
        self.api = api
        self.profile = profile
        self.turns_left = turns
        self._long_cache = long_cache
        self._context = 0
        self._last_us = 0

    def quantities(self, dice: Dice, at_us: int) -> dict[str, int]:
        """Give what the next call uses."""
        fresh, output = dice.size(950, 0.9), dice.size(330, 0.9)
        begins, pause_us = not self._context, at_us - self._last_us
        if begins:
            self._context = _TOOLS_TOKENS + dice.size(3_500, 0.7)
        if self.api.wire == "anthropic":
            found = self._anthropic(dice, fresh, begins=begins, pause_us=pause_us)
        else:
            cached = 0 if pause_us > _CACHE_US else self._context // _BLOCK * _BLOCK
            found = {u.INPUT: self._context - cached + fresh, u.REASONING: dice.size(210, 1.0)}
            if cached:
                found[u.CACHE_READ] = cached
        found[u.OUTPUT] = output
        self._last_us = at_us
        self._context += fresh + output
        if self._context > _CONTEXT_MAX:
            self._context = _COMPACTED
        return found

    def _anthropic(self, dice: Dice, fresh: int, *, begins: bool, pause_us: int) -> dict[str, int]:
        written = u.CACHE_WRITE_1H if self._long_cache else u.CACHE_WRITE
        kept_us = _CACHE_LONG_US if self._long_cache else _CACHE_US
        found = {u.INPUT: 3 + dice.below(12)}
        if begins:
            found[u.CACHE_READ] = _TOOLS_TOKENS
            found[written] = self._context - _TOOLS_TOKENS + fresh
        elif pause_us > kept_us:  # all of it is written, and paid for, once more
            found[written] = self._context + fresh
        else:
            found[u.CACHE_READ] = self._context
            found[written] = fresh
        if dice.chance() < 0.012:
            found[u.WEB_SEARCHES] = 1 + dice.below(3)
        return found

    def pause_us(self, dice: Dice) -> int:
        """Say how long it takes until the next call: now and then somebody has to think."""
        away = dice.chance() < 0.08
        return dice.size(900 if away else 14, 0.8) * SECOND_US


class Conversation:
    """A conversation of an app, mostly with one end customer."""

    def __init__(self, api: Api, profile: Profile, shape: Shape, turns: int) -> None:
        self.api = api
        self.profile = profile
        self.turns_left = turns
        self._shape = shape
        self._said = 0
        self._last: dict[str, int] = {}

    def quantities(self, dice: Dice, at_us: int) -> dict[str, int]:
        """Give what the next call uses."""
        shape = self._shape
        if self._last and shape.repeats:
            return dict(self._last)
        fresh = dice.size(shape.prompt, shape.spread) + self._said
        found = {u.INPUT: fresh}
        if shape.cached:
            if dice.chance() < 0.86:
                found[u.CACHE_READ] = shape.cached
            elif self.api.wire == "anthropic":
                found[u.CACHE_WRITE] = shape.cached
            else:
                found[u.INPUT] += shape.cached
        if shape.output:
            found[u.OUTPUT] = dice.size(shape.output, shape.spread)
            self._said = fresh + found[u.OUTPUT]
        if shape.reasoning:
            found[u.REASONING] = dice.size(shape.reasoning, shape.spread)
        self._last = found
        return found

    def pause_us(self, dice: Dice) -> int:
        """Say how long it takes until the next call."""
        return dice.size(3 if self._shape.repeats else 35, 0.9) * SECOND_US


class Loop:
    """A retry loop that nobody stops: the same prompt, the same cut-off answer, again."""

    def __init__(self, api: Api, profile: Profile, turns: int, pause_us: int) -> None:
        self.api = api
        self.profile = profile
        self.turns_left = turns
        self._pause_us = pause_us

    def quantities(self, dice: Dice, at_us: int) -> dict[str, int]:
        """Give what the next call uses: always the same."""
        return {u.INPUT: 14_336, u.OUTPUT: 2_048}

    def pause_us(self, dice: Dice) -> int:
        """Say how long it takes until the next call."""
        return dice.size(self._pause_us, 0.3)


class Thief:
    """Somebody with a key that is not theirs: long prompts, large models, no cache."""

    def __init__(self, api: Api, profile: Profile, turns: int, pause_us: int) -> None:
        self.api = api
        self.profile = profile
        self.turns_left = turns
        self._pause_us = pause_us

    def quantities(self, dice: Dice, at_us: int) -> dict[str, int]:
        """Give what the next call uses."""
        return {u.INPUT: dice.size(6_000, 0.7), u.OUTPUT: dice.size(1_100, 0.6)}

    def pause_us(self, dice: Dice) -> int:
        """Say how long it takes until the next call."""
        return dice.size(self._pause_us, 0.6)
