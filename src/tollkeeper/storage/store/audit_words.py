"""What the audit log says of each change of the store: one line of the table for each method.

A line may look at the store before the change, and makes records of what it finds after it.
No secret, hash or token ever gets into a record: each names what it takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from tollkeeper.domain.alerts import AlertState
from tollkeeper.domain.audit import Action, Target, changed
from tollkeeper.storage.store.audit_invitations import (
    invitation_accepted,
    invitation_revoked,
    invited,
    invited_again,
    open_invitation,
)
from tollkeeper.storage.store.audit_lines import Line, Said, Told
from tollkeeper.storage.store.audit_many import people_added, team_names
from tollkeeper.storage.store.audit_raises import (
    more_asked,
    overdraft_allowed,
    overdraft_taken,
    raise_ended,
    request_decided,
)
from tollkeeper.storage.store.audit_scim import (
    group_called,
    scim_group,
    scim_token,
    scim_user,
    token_made,
    token_revoked,
    user_called,
)
from tollkeeper.storage.store.audit_untold import UNTOLD as UNTOLD

if TYPE_CHECKING:
    from tollkeeper.storage.store.store import SqlStore


def _org_named(said: Said, before: Any, result: Any) -> Iterable[Told]:
    if said["name"] != before:
        yield Told(Action.ORG_NAME, Target("org"), {"name": {"from": before, "to": said["name"]}})


def _org_name(store: SqlStore, said: Said) -> str | None:
    try:
        return store.org_name()
    except LookupError:
        return None


# --------------------------------------------------------------------- teams and people


def _team(store: SqlStore, said: Said) -> Any:
    return next((team for team in store.teams() if team.team_id == said["team_id"]), None)


def _team_added(said: Said, before: Any, result: Any) -> Iterable[Told]:
    yield Told(Action.TEAM_ADD, Target("team", result.team_id), {"name": result.name})


def _team_switched(said: Said, before: Any, result: Any) -> Iterable[Told]:
    if before.active != said["active"]:
        action = Action.TEAM_ON if said["active"] else Action.TEAM_OFF
        yield Told(action, Target("team", before.team_id), {"name": before.name})


def _team_renamed(said: Said, before: Any, result: Any) -> Iterable[Told]:
    names = {"name": {"from": before.name, "to": said["name"]}}
    yield Told(Action.TEAM_RENAME, Target("team", before.team_id), names)


def _team_and_names(store: SqlStore, said: Said) -> Any:
    return _team(store, said), {team.team_id: team.name for team in store.teams()}


def _team_nested(said: Said, before: Any, result: Any) -> Iterable[Told]:
    team, names = before
    nested = changed({"parent": team.parent}, {"parent": names.get(said["parent_id"], "")})
    if nested:
        yield Told(Action.TEAM_PARENT, Target("team", team.team_id), {"name": team.name, **nested})


def _user(store: SqlStore, said: Said) -> Any:
    return store.user(said["user_id"])


def _user_added(said: Said, before: Any, result: Any) -> Iterable[Told]:
    said_of = {"role": result.role, "team": result.team}
    yield Told(Action.USER_ADD, Target("user", result.user_id), said_of)


def _user_switched(said: Said, before: Any, result: Any) -> Iterable[Told]:
    if before.active != said["active"]:
        action = Action.USER_ON if said["active"] else Action.USER_OFF
        yield Told(action, Target("user", before.user_id))


def _role_given(said: Said, before: Any, result: Any) -> Iterable[Told]:
    roles = changed({"role": str(before.role)}, {"role": str(said["role"])})
    if roles:
        yield Told(Action.USER_ROLE, Target("user", before.user_id), roles)


def _user_named(said: Said, before: Any, result: Any) -> Iterable[Told]:
    if before.name != said["name"]:
        yield Told(Action.USER_NAME, Target("user", before.user_id))


def _user_and_teams(store: SqlStore, said: Said) -> Any:
    return store.user(said["user_id"]), {team.team_id: team.name for team in store.teams()}


def _user_moved(said: Said, before: Any, result: Any) -> Iterable[Told]:
    user, teams = before
    moved = changed({"team": user.team}, {"team": teams.get(said["team_id"], "")})
    if moved:
        yield Told(Action.USER_TEAM, Target("user", user.user_id), moved)


# --------------------------------------------------------------------- keys and sessions


def _key_added(said: Said, before: Any, result: Any) -> Iterable[Told]:
    key = result.key
    said_of = {
        "name": key.name,
        "kind": key.kind,
        "user_id": key.user_id,
        "team": key.team,
        "expires_at_us": key.expires_at_us,
        "networks": said["new"].networks,
        "models": key.models,
        "providers": key.providers,
        "tags": key.tags,
    }
    yield Told(Action.KEY_ISSUE, Target("key", key.key_id), said_of)


def _key(store: SqlStore, said: Said) -> Any:
    return store.key(said["key_id"])


def _key_revoked(said: Said, before: Any, result: Any) -> Iterable[Told]:
    if before.revoked_at_us is None:
        yield Told(Action.KEY_REVOKE, Target("key", said["key_id"]), {"name": before.key.name})


def _key_to_change(store: SqlStore, said: Said) -> Any:
    return store.key(said["new"].key_id)


def _key_changed(said: Said, before: Any, result: Any) -> Iterable[Told]:
    new, key = said["new"], before.key
    was = {
        "name": key.name,
        "expires_at_us": key.expires_at_us,
        "models": key.models,
        "providers": key.providers,
        "networks": () if key.networks is None else key.networks.texts,
        "tags": key.tags,
    }
    detail = changed(was, {name: getattr(new, name) for name in was})
    yield Told(Action.KEY_CHANGE, Target("key", new.key_id), {"name": key.name, **detail})


def _key_rotated(said: Said, before: Any, result: Any) -> Iterable[Told]:
    new = said["new"]
    detail = {"earlier_until_us": new.earlier_until_us, "expires_at_us": new.expires_at_us}
    yield Told(Action.KEY_ROTATE, Target("key", new.key_id), detail)


def _good_keys_of(store: SqlStore, said: Said) -> Any:
    return [each for each in store.keys_of(said["user_id"]) if each.revoked_at_us is None]


def _keys_revoked(said: Said, before: Any, result: Any) -> Iterable[Told]:
    for each in before:
        yield Told(Action.KEY_REVOKE, Target("key", each.key.key_id), {"name": each.key.name})


def _link_added(said: Said, before: Any, result: Any) -> Iterable[Told]:
    yield Told(
        *(Action.LINK_MAKE, Target("user", said["user_id"])),
        {"expires_at_us": said["expires_at_us"]},
    )


def _password_set(said: Said, before: Any, result: Any) -> Iterable[Told]:
    yield Told(Action.PASSWORD_SET, Target("user", said["user_id"]))


def _password_removed(said: Said, before: Any, result: Any) -> Iterable[Told]:
    if result:
        yield Told(Action.PASSWORD_REMOVE, Target("user", said["user_id"]))


def _identity_added(said: Said, before: Any, result: Any) -> Iterable[Told]:
    identity = said["identity"]
    detail = {"provider": identity.provider, "issuer": identity.issuer}
    yield Told(Action.IDENTITY_ADD, Target("user", identity.user_id), detail)


def _identities_removed(said: Said, before: Any, result: Any) -> Iterable[Told]:
    if result:
        yield Told(Action.IDENTITY_REMOVE, Target("user", said["user_id"]), {"count": result})


def _session_begun(said: Said, before: Any, result: Any) -> Iterable[Told]:
    user_id = said["session"].user_id
    yield Told(Action.SESSION_BEGIN, Target("user", user_id), {}, user_id)


def _session(store: SqlStore, said: Said) -> Any:
    return store.session(said["session_hash"])


def _session_ended(said: Said, before: Any, result: Any) -> Iterable[Told]:
    if before is not None:
        yield Told(Action.SESSION_END, Target("user", before.user_id))


def _sessions_ended(said: Said, before: Any, result: Any) -> Iterable[Told]:
    yield Told(Action.SESSIONS_END, Target("user", said["user_id"]))


# --------------------------------------------------------------------- secrets, prices, limits


def _secret_set(said: Said, before: Any, result: Any) -> Iterable[Told]:
    yield Told(Action.PROVIDER_KEY_SET, Target("provider", said["provider"]))


def _secret_removed(said: Said, before: Any, result: Any) -> Iterable[Told]:
    yield Told(Action.PROVIDER_KEY_REMOVE, Target("provider", said["provider"]))


def _key_file(store: SqlStore, said: Said) -> Any:
    return store.noted_key_file()


def _key_file_noted(said: Said, before: Any, result: Any) -> Iterable[Told]:
    if before is None:
        yield Told(Action.KEY_FILE, Target("key file", said["fingerprint"].hex()))


def _price_rule_added(said: Said, before: Any, result: Any) -> Iterable[Told]:
    stored = said["stored"]
    yield Told(Action.PRICE_RULE_ADD, Target("price rule", stored.rule_id), stored.rule._asdict())


def _price_rule_ended(said: Said, before: Any, result: Any) -> Iterable[Told]:
    until = {"until_us": said["until_us"]}
    yield Told(Action.PRICE_RULE_END, Target("price rule", said["rule_id"]), until)


def _rate_rule(store: SqlStore, said: Said) -> Any:
    rule_id = said["stored"].rule.rule_id if "stored" in said else said["rule_id"]
    rules = (each.rule for each in store.rate_rules())
    return next((rule for rule in rules if rule.rule_id == rule_id), None)


def _rate_rule_set(said: Said, before: Any, result: Any) -> Iterable[Told]:
    rule = said["stored"].rule
    now = rule._asdict()
    detail = now if before is None else {"name": rule.name, **changed(before._asdict(), now)}
    yield Told(Action.RATE_LIMIT_SET, Target("rate limit", rule.rule_id), detail)


def _rate_rule_removed(said: Said, before: Any, result: Any) -> Iterable[Told]:
    yield Told(Action.RATE_LIMIT_REMOVE, Target("rate limit", said["rule_id"]), before._asdict())


# --------------------------------------------------------------------- budgets


def _budget_added(said: Said, before: Any, result: Any) -> Iterable[Told]:
    budget = said["budget"]
    detail = {**budget._asdict(), "window": budget.window._asdict()}
    yield Told(Action.BUDGET_ADD, Target("budget", budget.budget_id), detail)


def _budget(store: SqlStore, said: Said) -> Any:
    budget_id = said["budget"].budget_id
    return next((each for each in store.budgets() if each.budget_id == budget_id), None)


def _budget_changed(said: Said, before: Any, result: Any) -> Iterable[Told]:
    budget = said["budget"]
    if result:
        detail = {"name": budget.name, **changed(before._asdict(), budget._asdict())}
        yield Told(Action.BUDGET_CHANGE, Target("budget", budget.budget_id), detail)


# --------------------------------------------------------------------- months, runs, alerts


def _month_closed(said: Said, before: Any, result: Any) -> Iterable[Told]:
    closed = said["closed"]
    yield Told(Action.MONTH_CLOSE, Target("month", closed.month), {"zone": closed.zone})


def _statement_issued(said: Said, before: Any, result: Any) -> Iterable[Told]:
    issued = said["issued"]
    detail = {"sha256": issued.sha256, "bytes": len(issued.document)}
    yield Told(Action.STATEMENT_ISSUE, Target("month", issued.month), detail)


def _month_reopened(said: Said, before: Any, result: Any) -> Iterable[Told]:
    yield Told(Action.MONTH_REOPEN, Target("month", said["month"]))


def _alert_moved(said: Said, before: Any, result: Any) -> Iterable[Told]:
    if result and said["state"] is AlertState.ACKNOWLEDGED:
        alert = said["alert"]
        detail = {"name": alert.name, "title": alert.title}
        yield Told(Action.ALERT_ACKNOWLEDGE, Target("alert", alert.alert_id), detail)


LINES: Final[Mapping[str, Line]] = {
    "set_org_name": Line(_org_named, _org_name),
    "add_team": Line(_team_added),
    "set_team_active": Line(_team_switched, _team),
    "rename_team": Line(_team_renamed, _team),
    "set_team_parent": Line(_team_nested, _team_and_names),
    "add_user": Line(_user_added),
    "add_users": Line(people_added, team_names),
    "set_user_active": Line(_user_switched, _user),
    "set_user_role": Line(_role_given, _user),
    "set_user_name": Line(_user_named, _user),
    "set_user_team": Line(_user_moved, _user_and_teams),
    "add_invitation": Line(invited),
    "renew_invitation": Line(invited_again),
    "revoke_invitation": Line(invitation_revoked, open_invitation),
    "accept_invitation": Line(invitation_accepted),
    "add_scim_token": Line(token_made),
    "revoke_scim_token": Line(token_revoked, scim_token),
    "set_scim_user": Line(user_called, scim_user),
    "set_scim_group": Line(group_called, scim_group),
    "add_key": Line(_key_added),
    "change_key": Line(_key_changed, _key_to_change),
    "rotate_key": Line(_key_rotated),
    "revoke_key": Line(_key_revoked, _key),
    "revoke_keys_of": Line(_keys_revoked, _good_keys_of),
    "add_login_link": Line(_link_added),
    "set_password": Line(_password_set),
    "remove_password": Line(_password_removed),
    "add_identity": Line(_identity_added),
    "remove_identities_of": Line(_identities_removed),
    "add_session": Line(_session_begun),
    "end_session": Line(_session_ended, _session),
    "end_sessions_of": Line(_sessions_ended),
    "set_provider_secret": Line(_secret_set),
    "remove_provider_secret": Line(_secret_removed),
    "note_key_file": Line(_key_file_noted, _key_file),
    "add_price_rule": Line(_price_rule_added),
    "end_price_rule": Line(_price_rule_ended),
    "set_rate_rule": Line(_rate_rule_set, _rate_rule),
    "remove_rate_rule": Line(_rate_rule_removed, _rate_rule),
    "add_budget": Line(_budget_added),
    "change_budget": Line(_budget_changed, _budget),
    "add_budget_request": Line(more_asked),
    "decide_budget_request": Line(request_decided),
    "end_budget_raise": Line(raise_ended),
    "add_overdraft": Line(overdraft_taken),
    "allow_overdraft": Line(overdraft_allowed),
    "close_month": Line(_month_closed),
    "issue_statement": Line(_statement_issued),
    "reopen_month": Line(_month_reopened),
    "move_alert": Line(_alert_moved),
}
