"""Who sees other people by name in reports: nobody, unless they say why, for an hour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from tollkeeper.console.access import OPERATOR, Access, Asked
from tollkeeper.console.answers import Answer, Question
from tollkeeper.console.own_paths import HOME, own_path
from tollkeeper.console.shared import Console, Redirect
from tollkeeper.domain.access import Viewer
from tollkeeper.domain.errors import KeyRejected, NotAllowed
from tollkeeper.ports import Ledger
from tollkeeper.reports import zones
from tollkeeper.reports.bridge import Changes
from tollkeeper.reports.call_rows import CallRow
from tollkeeper.reports.masking import MaskedLedger, masked_row, salt_of
from tollkeeper.reports.questions import BadQuestion
from tollkeeper.reports.usage import UsageQuestion
from tollkeeper.services import unmasking
from tollkeeper.services.unmasking import LASTS_US, Unmasking

REASON_HEADER: Final = "x-tollkeeper-unmask-reason"


def seen_by(console: Console, access: Access, asked: Asked, path: str, *, api: bool) -> Access:
    """Say of whoever asks whether they see other people by name.

    A program that says why in a header sees them in this one answer, which is recorded.
    Raises NotAllowed or BadRequest where it may not, or the reason says nothing.
    """
    viewer = access.viewer
    if viewer is None or viewer.scope.user_id is not None or not console.mask_people:
        return access
    if not viewer.user_id and viewer.name == OPERATOR:
        return access  # whoever can read the data folder has the ledger itself
    reason = asked.headers.get(REASON_HEADER) if api else None
    if reason is not None:
        unmasking.record(console.store, viewer.role, reason, None, path)
        return access
    if unmasking_of(console, access) is not None:
        return access
    return access._replace(viewer=replace(viewer, sees_names=False))


def unmasking_of(console: Console, access: Access) -> Unmasking | None:
    """Give until when a session sees names, and why."""
    if not access.session_hash:
        return None
    return console.unmaskings.of(access.session_hash, console.now_us())


def ledger_for(console: Console, viewer: Viewer) -> Ledger:
    """Give the ledger as a viewer's reports see it."""
    if viewer.sees_names:
        return console.ledger
    return MaskedLedger(console.ledger, salt_of(console.vault), viewer.user_id)


def require_names(console: Console, access: Access) -> None:
    """Raise NotAllowed for a session that sees pseudonyms, where an answer would name people.

    Keys get such answers: programs know their users by id, and no page of ours asks for them.
    """
    if access.session_hash and console.mask_people and unmasking_of(console, access) is None:
        raise NotAllowed(
            "this names people: say why on a page of reports first, or ask with an admin key",
            code="names_masked",
        )


def names_for(
    console: Console, viewer: Viewer, session_hash: bytes
) -> Callable[[CallRow], CallRow]:
    """Give what makes a live call fit for a viewer: as it is, or with a pseudonym in it.

    It is asked for anew before each event: seeing names ends while a page stays open.
    """
    sees_all = not console.mask_people or viewer.scope.user_id is not None
    if sees_all or console.unmaskings.of(session_hash, console.now_us()) is not None:
        return lambda row: row
    salt = salt_of(console.vault)
    return lambda row: masked_row(row, salt, viewer.user_id)


def ranks_names(console: Console, viewer: Viewer) -> bool:
    """Tell whether rows by person would be a ranking of people by name, which nobody gets."""
    return console.mask_people and viewer.sees_names and viewer.scope.user_id is None


def unranked(console: Console, viewer: Viewer, asked: UsageQuestion) -> UsageQuestion:
    """Give a question that ranks nobody by name. Raises BadQuestion for one that wants to."""
    if "user" not in asked.group_by or not ranks_names(console, viewer):
        return asked
    if any(name.removeprefix("-") in asked.metrics for name in asked.order):
        raise BadQuestion("order", "people who are named are not ranked: order by group_by")
    return replace(asked, order=asked.order or asked.group_by)


def unranked_changes(console: Console, viewer: Viewer, found: Changes) -> Changes:
    """Give what changed with people who are named in the order of their names."""
    if found.question.dimension != "user" or not ranks_names(console, viewer):
        return found
    by_name = sorted(found.rows, key=lambda row: row.name)
    return replace(found, rows=tuple(by_name), pairs=())


def unmasking_notice(console: Console, access: Access, zone: str) -> dict[str, str]:
    """Give what pages say about names: whether they are masked, and until when they are not."""
    viewer = access.viewer
    if viewer is None or viewer.scope.user_id is not None or not console.mask_people:
        return {}
    found = unmasking_of(console, access)
    if found is None:
        return {"state": "masked", "may": "1" if viewer.role in unmasking.UNMASKERS else ""}
    until = zones.local_time(found.until_us, zones.zone_info(zone))
    return {"state": "named", "until": f"{until:%H:%M}", "reason": found.reason}


def unmask(console: Console, access: Access, question: Question) -> Answer:
    """See people by name for an hour, in this session."""
    viewer = access.viewer
    if viewer is None:
        raise KeyRejected("sign in first", code="not_signed_in")
    until_us = console.now_us() + LASTS_US
    said = str(question.body.get("reason", ""))
    reason = unmasking.record(console.store, viewer.role, said, until_us, "pages")
    console.unmaskings.begin(access.session_hash, Unmasking(until_us, reason))
    return Redirect(own_path(str(question.body.get("next", HOME))))


def mask(console: Console, access: Access, question: Question) -> Answer:
    """See pseudonyms again."""
    console.unmaskings.end(access.session_hash)
    return Redirect(own_path(str(question.body.get("next", HOME))))
