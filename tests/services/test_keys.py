"""Virtual keys: who may issue which, and what is accepted afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import stores
from stores import DAY, NOW, Folder, add_person, issue_key
from tollkeeper.domain import key_tokens
from tollkeeper.domain.access import KeyKind, Role
from tollkeeper.domain.errors import BadRequest, KeyRejected, NotAllowed, NotFound
from tollkeeper.services import keys, people
from tollkeeper.services.keys import Issuer, KeyRequest
from tollkeeper.storage.store.key_directory import SqliteKeyDirectory

MODELS = ["gpt-4.1", "gpt-4.1-mini", "gpt-5", "claude-opus-5", "claude-haiku", "gemini-3", "x"]
GLOBS = ["*", "gpt-*", "gpt-4.1*", "gpt-?", "*-mini", "claude-*", "claude-haiku", "[gc]*", "x", "y"]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = stores.open_folder(tmp_path / "data")
    opened.store.set_org_name("Acme")
    yield opened
    opened.store.close()


@pytest.fixture
def directory(folder: Folder) -> Iterator[SqliteKeyDirectory]:
    opened = SqliteKeyDirectory(folder.data.store)
    yield opened
    opened.close()


def issue(folder: Folder, issuer: Issuer, **wanted: object) -> keys.IssuedKey:
    request = KeyRequest("laptop", **wanted)  # type: ignore[arg-type]
    return keys.issue(folder.store, folder.vault, request, issuer, NOW)


def issuer_of(folder: Folder, email: str, team: str, role: Role) -> Issuer:
    return keys.issuer_of_user(add_person(folder.store, email, team, role))


# --------------------------------------------------------------------- issuing


def test_a_key_is_issued_to_a_person_and_recorded(folder: Folder) -> None:
    user = add_person(folder.store)
    issued = issue(
        folder,
        keys.OPERATOR,
        email="ALICE@acme.com",
        expires_at_us=NOW + DAY,
        models=["gpt-*", " gpt-* "],
        tags={"feature": "chat"},
    )
    parts = key_tokens.parse(issued.token)
    assert parts is not None
    key = issued.record.key
    assert (parts.kind, parts.key_id) == (KeyKind.VIRTUAL, key.key_id)
    assert (key.org, key.team, key.user_id) == ("Acme", "core", user.user_id)
    assert (key.models, key.tags, key.expires_at_us) == (("gpt-*",), {"feature": "chat"}, NOW + DAY)
    assert issued.record.created_by == "command line"
    assert folder.store.key(key.key_id) == issued.record
    assert issued.token not in repr(issued)
    assert parts.secret not in repr(issued.record)


def test_a_key_of_a_persons_own_team_follows_the_person(folder: Folder) -> None:
    add_person(folder.store)
    people.ensure_team(folder.store, "search", NOW)
    own = issue_key(folder, email="alice@acme.com", team="Core").record.key.key_id
    other = issue_key(folder, email="alice@acme.com", team="search").record.key.key_id
    people.add_team(folder.store, "sales", NOW)
    people.move_user(folder.store, "alice@acme.com", "sales", NOW)
    moved = {record.key.key_id: record.key.team for record in folder.store.keys_of(_id(folder))}
    assert moved == {own: "sales", other: "search"}


def test_a_virtual_key_needs_an_owner_and_a_management_key_does_not(folder: Folder) -> None:
    with pytest.raises(BadRequest, match="own what the key spends"):
        issue(folder, keys.OPERATOR)
    issued = issue(folder, keys.OPERATOR, kind=KeyKind.ADMIN)
    assert issued.token.startswith("tk_admin_")


def test_an_unknown_or_inactive_owner_is_named(folder: Folder) -> None:
    with pytest.raises(NotFound, match="bob@acme") as unknown:
        issue(folder, keys.OPERATOR, email="bob@acme.com")
    assert unknown.value.code == "user_not_found"
    with pytest.raises(NotFound, match="search"):
        issue(folder, keys.OPERATOR, team="search")
    add_person(folder.store)
    people.deactivate_user(folder.store, "alice@acme.com", NOW)
    with pytest.raises(BadRequest, match="deactivated"):
        issue(folder, keys.OPERATOR, email="alice@acme.com")
    people.set_team_active(folder.store, "core", active=False)
    with pytest.raises(BadRequest, match="deactivated"):
        issue(folder, keys.OPERATOR, team="core")


@pytest.mark.parametrize(
    "wrong",
    [
        {"expires_at_us": NOW},
        {"expires_at_us": NOW - DAY},
        {"models": [""]},
        {"models": ["x" * 101]},
        {"models": ["g\npt"]},
        {"models": [f"m{n}" for n in range(33)]},
        {"providers": ["\x1b[31m"]},
        {"tags": {"": "x"}},
        {"tags": {"k": "v" * 300}},
        {"tags": {f"k{n}": "v" for n in range(33)}},
        {"email": "not an address"},
    ],
    ids=lambda wrong: repr(wrong)[:40],
)
def test_nonsense_is_refused_and_leaves_no_key(folder: Folder, wrong: dict[str, object]) -> None:
    add_person(folder.store)
    with pytest.raises(BadRequest):
        issue(folder, keys.OPERATOR, **({"email": "alice@acme.com"} | wrong))
    assert folder.store.keys_of(_id(folder)) == []


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\u202eb", "a\0b", "a\nb"])
def test_a_bad_name_is_refused(folder: Folder, name: str) -> None:
    add_person(folder.store)
    request = KeyRequest(name, email="alice@acme.com")
    with pytest.raises(BadRequest, match="the key's name"):
        keys.issue(folder.store, folder.vault, request, keys.OPERATOR, NOW)


def test_peoples_keys_can_have_an_end_by_default_and_teams_keys_have_none(folder: Folder) -> None:
    add_person(folder.store)

    def expiry(**wanted: object) -> int | None:
        request = KeyRequest("laptop", **wanted)  # type: ignore[arg-type]
        issued = keys.issue(
            folder.store, folder.vault, request, keys.OPERATOR, NOW, person_lifetime_us=90 * DAY
        )
        return issued.record.key.expires_at_us

    assert expiry(email="alice@acme.com") == NOW + 90 * DAY
    assert expiry(email="alice@acme.com", expires_at_us=NOW + 365 * DAY) == NOW + 365 * DAY
    assert expiry(team="core") is None


# --------------------------------------------------------------------- who may issue


def test_a_member_issues_for_themselves_only(folder: Folder) -> None:
    alice = issuer_of(folder, "alice@acme.com", "core", Role.MEMBER)
    add_person(folder.store, "bob@acme.com")
    people.add_team(folder.store, "search", NOW)
    assert issue(folder, alice, email="alice@acme.com").record.key.team == "core"
    assert issue(folder, alice, email="alice@acme.com", team="core").record.key.team == "core"
    for wanted in (
        {"email": "bob@acme.com"},
        {"team": "core"},
        {"email": "alice@acme.com", "team": "search"},
        {"email": "alice@acme.com", "kind": KeyKind.ADMIN},
        {"kind": KeyKind.ADMIN},
    ):
        with pytest.raises(NotAllowed):
            issue(folder, alice, **wanted)


def test_a_lead_issues_for_the_own_team_only(folder: Folder) -> None:
    lead = issuer_of(folder, "lead@acme.com", "core", Role.LEAD)
    add_person(folder.store, "alice@acme.com", "core")
    add_person(folder.store, "bob@acme.com", "search")
    for wanted in ({"email": "alice@acme.com"}, {"team": "core"}, {"email": "lead@acme.com"}):
        assert issue(folder, lead, **wanted).record.key.team == "core"
    for wanted in (
        {"email": "bob@acme.com"},
        {"team": "search"},
        {"email": "alice@acme.com", "team": "search"},
        {"team": "core", "kind": KeyKind.ADMIN},
    ):
        with pytest.raises(NotAllowed):
            issue(folder, lead, **wanted)


def test_an_auditor_issues_nothing_and_a_lead_without_team_only_for_themselves(
    folder: Folder,
) -> None:
    auditor = issuer_of(folder, "audit@acme.com", "core", Role.AUDITOR)
    with pytest.raises(NotAllowed, match="auditor"):
        issue(folder, auditor, email="audit@acme.com")
    lead = issuer_of(folder, "lead@acme.com", "", Role.LEAD)
    add_person(folder.store, "nobody@acme.com", "")
    assert issue(folder, lead, email="lead@acme.com")
    with pytest.raises(NotAllowed):
        issue(folder, lead, email="nobody@acme.com")


def test_everybody_sees_and_revokes_the_keys_that_concern_them(folder: Folder) -> None:
    admin = issuer_of(folder, "admin@acme.com", "", Role.ADMIN)
    lead = issuer_of(folder, "lead@acme.com", "core", Role.LEAD)
    alice = issuer_of(folder, "alice@acme.com", "core", Role.MEMBER)
    bob = issuer_of(folder, "bob@acme.com", "search", Role.MEMBER)
    ids = {
        name: issue_key(folder, **wanted).record.key.key_id
        for name, wanted in {
            "alice": {"email": "alice@acme.com"},
            "bob": {"email": "bob@acme.com"},
            "core": {"team": "core"},
        }.items()
    }
    names = {key_id: name for name, key_id in ids.items()}

    def seen(issuer: Issuer) -> set[str]:
        return {names[record.key.key_id] for record in keys.list_keys(folder.store, issuer)}

    assert seen(admin) == {"alice", "bob", "core"}
    assert seen(lead) == {"alice", "core"}
    assert seen(alice) == {"alice"}
    assert seen(Issuer("nobody", Role.MEMBER)) == set()
    for issuer, name in ((alice, "bob"), (alice, "core"), (lead, "bob"), (bob, "alice")):
        with pytest.raises(NotFound):
            keys.revoke(folder.store, ids[name], issuer, NOW)
    assert keys.revoke(folder.store, ids["alice"], alice, NOW).revoked_at_us == NOW
    assert keys.revoke(folder.store, ids["core"], lead, NOW).revoked_at_us == NOW
    assert keys.revoke(folder.store, ids["core"], admin, NOW + 9).revoked_at_us == NOW
    with pytest.raises(NotFound):
        keys.revoke(folder.store, "unknown0", admin, NOW)


LISTS = st.lists(st.sampled_from(GLOBS), max_size=3, unique=True).map(tuple)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(own_models=LISTS, own_providers=LISTS, models=LISTS, providers=LISTS, data=st.data())
def test_no_key_reaches_further_than_its_issuer(
    folder: Folder,
    own_models: tuple[str, ...],
    own_providers: tuple[str, ...],
    models: tuple[str, ...],
    providers: tuple[str, ...],
    data: st.DataObject,
) -> None:
    if folder.store.team_named("core") is None:
        add_person(folder.store)
    ends = st.none() | st.integers(NOW + 1, NOW + 100)
    own_end, end = data.draw(ends), data.draw(ends)
    role = data.draw(st.sampled_from([Role.ADMIN, Role.MEMBER]))
    issuer = Issuer("parent", role, _id(folder), "core", own_models, own_providers, own_end)
    try:
        key = issue(
            folder,
            issuer,
            email="alice@acme.com",
            models=models,
            providers=providers,
            expires_at_us=end,
        ).record.key
    except NotAllowed:
        # Never refused without a reason: something wanted lies outside, or is not provable.
        assert (own_models and models) or (own_providers and providers) or (own_end and end)
        return
    for text in MODELS:
        for child, parent in ((key.models, own_models), (key.providers, own_providers)):
            assert _allows(parent, text) or not _allows(child, text)
    if own_end is not None:
        assert key.expires_at_us is not None
        assert key.expires_at_us <= own_end
    for wanted, given_globs in ((models, key.models), (providers, key.providers)):
        assert not wanted or given_globs == wanted


def test_a_keys_key_is_a_members_and_a_management_keys_key_is_an_admins(folder: Folder) -> None:
    user = add_person(folder.store)
    parent = issue_key(folder, email=user.email, models=["gpt-*"]).record.key
    child = issue(folder, keys.issuer_of_key(parent), email=user.email).record
    assert child.key.models == ("gpt-*",)
    assert child.created_by == f"key {parent.key_id}"
    with pytest.raises(NotAllowed):
        issue(folder, keys.issuer_of_key(parent), kind=KeyKind.ADMIN)
    manager = issue_key(folder, kind=KeyKind.ADMIN, models=["gpt-4.1*"]).record.key
    issued = issue(folder, keys.issuer_of_key(manager), team="core", models=["gpt-4.1-mini"])
    assert issued.record.key.models == ("gpt-4.1-mini",)
    with pytest.raises(NotAllowed, match=r"gpt-4\.1\*"):
        issue(folder, keys.issuer_of_key(manager), team="core", models=["gpt-5"])


# --------------------------------------------------------------------- verifying


def test_a_good_token_is_accepted_everywhere(folder: Folder, directory: SqliteKeyDirectory) -> None:
    add_person(folder.store)
    issued = issue_key(folder, email="alice@acme.com")
    token, key = issued.token, issued.record.key
    assert keys.verify_known(token, directory, folder.vault, NOW) is None
    assert asyncio.run(keys.verify(token, directory, folder.vault, NOW)) == key
    assert keys.verify_known(token, directory, folder.vault, NOW) == key
    stored = keys.verify_stored(token, folder.store, folder.vault, NOW, KeyKind.VIRTUAL)
    assert stored == key


def test_a_wrong_token_is_rejected_everywhere(
    folder: Folder, directory: SqliteKeyDirectory
) -> None:
    add_person(folder.store)
    first, second = (issue_key(folder, email="alice@acme.com") for _ in range(2))
    one, two = (key_tokens.parse(issued.token) for issued in (first, second))
    assert one is not None
    assert two is not None
    wrong = {
        "key_malformed": ["", "sk-1234", first.token[:-1], first.token[:-1] + "~", "tk_live_é"],
        "key_unknown": [
            key_tokens.build(KeyKind.VIRTUAL, one.key_id, two.secret),
            key_tokens.build(KeyKind.VIRTUAL, "00000000", one.secret),
            # The checksum is no secret: anybody can change the prefix. It must not help.
            key_tokens.build(KeyKind.ADMIN, one.key_id, one.secret),
        ],
    }
    for code, tokens in wrong.items():
        for token in tokens:
            for kind in KeyKind:
                with pytest.raises(KeyRejected) as rejected:
                    asyncio.run(keys.verify(token, directory, folder.vault, NOW, kind))
                assert rejected.value.code == code
                with pytest.raises(KeyRejected):
                    keys.verify_known(token, directory, folder.vault, NOW, kind)
                with pytest.raises(KeyRejected) as rejected:
                    keys.verify_stored(token, folder.store, folder.vault, NOW, kind)
                assert rejected.value.code == code
                assert one.secret not in str(rejected.value)


def test_revoked_expired_and_switched_off_keys_say_so_to_their_holder_only(
    folder: Folder, directory: SqliteKeyDirectory
) -> None:
    user = add_person(folder.store)
    revoked = issue_key(folder, email=user.email)
    expired = issue_key(folder, team="core", expires_at_us=NOW + 1)
    keys.revoke(folder.store, revoked.record.key.key_id, keys.OPERATOR, NOW)
    for issued, code in ((revoked, "key_revoked"), (expired, "key_expired")):
        with pytest.raises(KeyRejected) as rejected:
            asyncio.run(keys.verify(issued.token, directory, folder.vault, NOW + 1))
        assert rejected.value.code == code
        guess = key_tokens.build(KeyKind.VIRTUAL, issued.record.key.key_id, "0" * 32)
        with pytest.raises(KeyRejected) as rejected:
            asyncio.run(keys.verify(guess, directory, folder.vault, NOW + 1))
        assert rejected.value.code == "key_unknown"


def test_a_management_key_calls_no_model_and_a_virtual_key_manages_nothing(
    folder: Folder, directory: SqliteKeyDirectory
) -> None:
    add_person(folder.store)
    virtual = issue_key(folder, email="alice@acme.com").token
    admin = issue_key(folder, kind=KeyKind.ADMIN).token
    with pytest.raises(NotAllowed) as refused:
        asyncio.run(keys.verify(admin, directory, folder.vault, NOW))
    assert refused.value.code == "wrong_key_kind"
    with pytest.raises(NotAllowed):
        keys.verify_stored(virtual, folder.store, folder.vault, NOW)
    assert keys.verify_stored(admin, folder.store, folder.vault, NOW).kind is KeyKind.ADMIN


def test_ids_and_secrets_never_repeat(folder: Folder) -> None:
    add_person(folder.store)
    tokens = [issue_key(folder, team="core").token for _ in range(50)]
    parts = [key_tokens.parse(token) for token in tokens]
    assert len({part.key_id for part in parts if part}) == 50
    assert len({part.secret for part in parts if part}) == 50


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=80))
def test_any_text_is_answered_with_a_rejection(text: str) -> None:
    assume(key_tokens.parse(text) is None)
    with pytest.raises(KeyRejected):
        keys._parsed(text)


def _id(folder: Folder) -> str:
    return people.find_user(folder.store, "alice@acme.com").user_id


def _allows(globs: tuple[str, ...], text: str) -> bool:
    return not globs or any(fnmatchcase(text, glob) for glob in globs)
