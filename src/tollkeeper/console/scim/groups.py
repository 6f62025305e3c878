"""``/Groups``: teams of ours, as an identity provider keeps them."""

from __future__ import annotations

from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.scim.documents import GROUP_NAMES, group_document, read_group
from tollkeeper.console.scim.listing import page_of, told, wanted_filter
from tollkeeper.console.shared import Console
from tollkeeper.domain.scim_filters import member
from tollkeeper.domain.scim_patches import patched, read_operations
from tollkeeper.services import scim_groups
from tollkeeper.services.scim_groups import Group
from tollkeeper.telemetry import logger


def list_groups(console: Console, access: Access, question: Question) -> Answer:
    """List teams, all or those that a filter names."""
    return page_of(
        question.query,
        wanted_filter(question.query, GROUP_NAMES),
        scim_groups.all_groups(console.store),
        lambda group: group_document(console.public_url, group),
    )


def get_group(console: Console, access: Access, question: Question) -> Answer:
    """Give a team with its people."""
    group = scim_groups.with_id(console.store, question.path["team_id"])
    return _told(console, question, group, 200)


def make_group(console: Console, access: Access, question: Question) -> Answer:
    """Add a team, and put people into it."""
    group = scim_groups.add(console.store, read_group(question.body), console.now_us())
    logger.info("team added by SCIM", extra={"team": group.team.team_id})
    return _told(console, question, group, 201)


def replace_group(console: Console, access: Access, question: Question) -> Answer:
    """Name a team anew, and let exactly the people be in it that were sent."""
    team_id = question.path["team_id"]
    wish = read_group(question.body)
    group = scim_groups.change(console.store, team_id, wish, console.now_us())
    return _told(console, question, group, 200)


def patch_group(console: Console, access: Access, question: Question) -> Answer:
    """Change parts of a team: all that is asked for, or nothing."""
    operations = read_operations(question.body)
    team_id = question.path["team_id"]
    with console.store.together():
        before = scim_groups.with_id(console.store, team_id)
        after = patched(group_document(console.public_url, before), operations, GROUP_NAMES)
        wish = read_group(after)
        if member(after, "externalId") is None:
            wish = wish._replace(external_id="")
        group = scim_groups.change(console.store, team_id, wish, console.now_us())
    return _told(console, question, group, 200)


def delete_group(console: Console, access: Access, question: Question) -> Answer:
    """Switch a team off, with nobody in it."""
    team_id = question.path["team_id"]
    scim_groups.remove(console.store, team_id, console.now_us())
    logger.info("team removed by SCIM", extra={"team": team_id})
    return Document({}, 204)


def _told(console: Console, question: Question, group: Group, status: int) -> Document:
    return told(question.query, group_document(console.public_url, group), status)
