"""What the console tells the audit log at its edge: who acts, what is taken away, who fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeGuard

from tollkeeper.console.access import OPERATOR, Access, Asked
from tollkeeper.console.answers import File
from tollkeeper.console.attempts import TooManyAttempts
from tollkeeper.console.shared import HasTable
from tollkeeper.domain.audit import Action, Actor, ActorKind, AuditLog, Target
from tollkeeper.domain.errors import KeyRejected, Refused
from tollkeeper.services import audit

_FORWARDED: Final = "x-forwarded-for"
_NOT_TRIED: Final = frozenset({"not_signed_in", "session_ended", "key_missing"})
"""Refusals of whoever brought nothing to be checked."""
_SECRET: Final = frozenset({"key", "api_key", "api-key", "access_token", "token"})


def actor_of(access: Access, asked: Asked) -> Actor:
    """Say who asks, and from where the gateway says that the request came."""
    address = asked.headers.get(_FORWARDED, "").partition(",")[0].strip()
    viewer, key, token = access.viewer, access.key, access.scim_token
    if key is not None:
        return Actor(ActorKind.KEY, key.name, key.key_id, address)
    if token is not None:
        return Actor(ActorKind.SCIM, token.name, token.token_id, address)
    if viewer is None:
        return Actor(ActorKind.ANYBODY, "", "", address)
    if not viewer.user_id and viewer.name == OPERATOR:
        return Actor(ActorKind.COMMAND_LINE, OPERATOR, "", address)
    return Actor(ActorKind.PERSON, viewer.name, viewer.user_id, address)


def note_export(
    log: AuditLog, answer: object, path: str, query: Mapping[str, str], wanted: str
) -> None:
    """Record that somebody takes a file away. Raises OSError, so that none leaves unrecorded."""
    if isinstance(answer, File):
        name = answer.name
    elif wanted in {"csv", "parquet"} and isinstance(answer, HasTable):
        name = f"{path.strip('/').replace('/', ' ') or 'overview'}.{wanted}"
    else:
        return
    asked = {each: value for each, value in query.items() if each not in _SECRET}
    audit.record(log, Action.EXPORT, Target("file", name), {"path": path, "query": asked})


def is_failed_sign_in(error: Exception) -> TypeGuard[Refused]:
    """Tell whether somebody tried to be let in, with what is no good."""
    if isinstance(error, TooManyAttempts):
        return True
    return isinstance(error, KeyRejected) and error.code not in _NOT_TRIED
