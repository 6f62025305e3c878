"""The audit log in every engine: each change leaves its entry, and entries are only added."""

from __future__ import annotations

import ast
import inspect
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import text

import stores
from stores import DAY, NOW, new_key
from tollkeeper.acting import acting
from tollkeeper.domain.access import Role
from tollkeeper.domain.audit import (
    Action,
    Actor,
    ActorKind,
    AuditEntry,
    AuditQuestion,
    Head,
    Record,
    Target,
    against_noted,
    walked,
)
from tollkeeper.domain.months import ClosedMonth
from tollkeeper.ports import Session
from tollkeeper.services import audit, keys, people, secrets, sign_in
from tollkeeper.storage.store import audit_words
from tollkeeper.storage.store.store import SqlStore

ALICE = Actor(ActorKind.PERSON, "alice@acme.com", "u-alice", "192.0.2.7")
CANARY = "canary-f00d-secret-value"


@pytest.fixture
def folder(tmp_path: Path, store_url: str) -> Iterator[stores.Folder]:
    opened = stores.open_folder(tmp_path, store_url)
    yield opened
    opened.store.close()


@pytest.fixture
def store(folder: stores.Folder) -> SqlStore:
    return folder.store


def written(store: SqlStore) -> list[AuditEntry]:
    return list(audit.entries(store))


def last(store: SqlStore) -> AuditEntry:
    return store.audit(AuditQuestion(most=1))[0]


def test_a_change_is_told_with_who_did_what_to_whom(store: SqlStore) -> None:
    with acting(ALICE):
        user = stores.add_person(store, "bob@acme.com", "core")
        people.change_role(store, "bob@acme.com", Role.LEAD, NOW)
    found = written(store)
    assert [entry.action for entry in found] == [
        Action.TEAM_ADD,
        Action.USER_ADD,
        Action.USER_ROLE,
        Action.SESSIONS_END,
    ]
    role = found[2]
    assert (role.actor_kind, role.actor_name, role.actor_id, role.address) == (
        *(str(ALICE.kind), ALICE.name, ALICE.actor_id, ALICE.address),
    )
    assert (role.target_kind, role.target_id) == ("user", user.user_id)
    assert role.data == {"role": {"from": "member", "to": "lead"}}
    assert audit.verify(store) == (store.audit_head(), None, "")


def test_what_changes_nothing_leaves_nothing(store: SqlStore) -> None:
    team = store.add_team("core", NOW)
    store.set_org_name("Acme")
    user_id = store.add_user("a@acme.com", "A", Role.MEMBER, team.team_id, NOW).user_id
    store.add_key(new_key("AAAAAAAA", user_id=user_id), NOW)
    store.revoke_key("AAAAAAAA", NOW)
    before = store.audit_head()
    store.set_org_name("Acme")
    store.set_team_active(team.team_id, True)
    store.set_user_role(user_id, Role.MEMBER)
    store.revoke_key("AAAAAAAA", NOW + 1)
    assert store.revoke_keys_of(user_id, NOW) == 0
    store.end_session(b"h" * 32)
    store.probe()
    assert store.audit_head() == before


def test_a_change_that_fails_leaves_no_entry_and_an_entry_that_fails_no_change(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add_team("core", NOW)
    before = store.audit_head()
    with pytest.raises(ValueError, match="core"):
        store.add_team("core", NOW)
    with pytest.raises(LookupError):
        store.set_user_role("nobody", Role.ADMIN)
    with pytest.raises(RuntimeError), store.together():
        store.add_team("search", NOW)
        raise RuntimeError("halfway")
    assert store.audit_head() == before

    def fails(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(SqlStore, "add_audit", fails)
    with pytest.raises(OSError, match="disk full"):
        store.add_team("search", NOW)
    assert [team.name for team in store.teams()] == ["core"]


def test_whoever_signs_in_is_who_acts(folder: stores.Folder) -> None:
    store, vault = folder.store, folder.vault
    user = stores.add_person(store)
    link = sign_in.make_link(store, vault, user, NOW)
    token = link.path.removeprefix(sign_in.LINK_PATH)
    with acting(Actor(ActorKind.ANYBODY, "", "", "192.0.2.9")):
        found = sign_in.sign_in(store, vault, token, NOW)
    entry = last(store)
    assert entry.action == Action.SESSION_BEGIN
    assert (entry.actor_kind, entry.actor_name, entry.actor_id, entry.address) == (
        *("person", user.email, user.user_id, "192.0.2.9"),
    )
    with acting(ALICE):
        sign_in.sign_out(store, vault, found.cookie)
    assert last(store).action == Action.SESSION_END
    everything = repr(written(store))
    assert token not in everything
    assert found.cookie not in everything
    assert found.session.session_hash.hex() not in everything


def test_no_secret_gets_into_the_log(folder: stores.Folder) -> None:
    store, vault = folder.store, folder.vault
    stores.add_person(store)
    issued = keys.issue(
        store, vault, keys.KeyRequest("laptop", email="alice@acme.com"), keys.OPERATOR, NOW
    )
    secrets.set_secret(store, vault, "openai", "https://api.openai.com", CANARY, NOW)
    audit.record_configuration(store, vault, {"providers": CANARY}, "tollkeeper.yaml")
    secrets.remove_secret(store, "openai")
    everything = repr([entry._asdict() for entry in written(store)])
    for secret in (issued.token, issued.token.rpartition("_")[2], CANARY):
        assert secret not in everything
    (stored,) = store.keys()
    assert stored.key.secret_hmac.hex() not in everything
    assert repr(stored.key.secret_hmac) not in everything


def test_entries_are_found_by_who_what_whom_and_when(store: SqlStore) -> None:
    with acting(ALICE):
        team = store.add_team("core", NOW)
    store.rename_team(team.team_id, "platform", NOW)
    store.close_month(ClosedMonth("2026-08", "UTC", 0, DAY, NOW, "alice"))
    seqs = {
        name: [entry.seq for entry in store.audit(AuditQuestion(**said))]
        for name, said in {
            "all": {},
            "name": {"actor": ALICE.name},
            "id": {"actor": ALICE.actor_id},
            "kind": {"actor": "tollkeeper"},
            "action": {"action": "team.rename"},
            "subject": {"action": "team"},
            "target": {"target": team.team_id},
            "target kind": {"target_kind": "month"},
            "nothing": {"action": "tea"},
            "page": {"before_seq": 3, "most": 1},
            "until": {"until_us": 1},
            "since": {"since_us": store.audit(AuditQuestion())[0].at_us + 1},
        }.items()
    }
    assert seqs == {
        "all": [3, 2, 1],
        "name": [1],
        "id": [1],
        "kind": [3, 2],
        "action": [2],
        "subject": [2, 1],
        "target": [2, 1],
        "target kind": [3],
        "nothing": [],
        "page": [2],
        "until": [],
        "since": [],
    }


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit_log SET actor_name = 'mallory' WHERE seq = 2",
        "UPDATE audit_log SET seq = 9 WHERE seq = 2",
        "DELETE FROM audit_log WHERE seq = 2",
        "DELETE FROM audit_log",
        "DELETE FROM audit_head",
        "INSERT INTO audit_log SELECT seq + 5, at_us, actor_kind, actor_id, actor_name, address,"
        " action, target_kind, target_id, detail, prev_hash, hash FROM audit_log WHERE seq = 2",
    ],
)
def test_the_database_refuses_to_change_or_remove_entries(store: SqlStore, tampering: str) -> None:
    for name in ("a", "b", "c"):
        store.add_team(name, NOW)
    with pytest.raises(ValueError, match="audit log"), store._transactions.write() as (db, _):
        db.execute(text(tampering))
    assert audit.verify(store).bad_seq is None
    assert store.audit_head().seq == 3


def test_what_is_done_past_the_guards_is_found(store: SqlStore) -> None:
    for name in ("a", "b", "c", "d"):
        store.add_team(name, NOW)
    entries, noted = written(store), store.audit_head()
    without_guard = store._engine.dialect.name == "postgresql"
    with store._transactions.write() as (db, _):
        if without_guard:
            db.execute(text("ALTER TABLE audit_log DISABLE TRIGGER USER"))
        else:
            db.execute(text("DROP TRIGGER audit_log_no_update"))
        db.execute(text("UPDATE audit_log SET actor_name = 'mallory' WHERE seq = 3"))
    verdict = audit.verify(store)
    assert (verdict.head.seq, verdict.bad_seq) == (2, 3)
    assert "changed after it was written" in verdict.fault
    del entries[3]
    assert against_noted(walked(entries), noted).bad_seq == 4


def test_a_head_that_was_kept_shows_a_log_that_was_made_anew(folder: stores.Folder) -> None:
    store, vault = folder.store, folder.vault
    store.add_team("a", NOW)
    store.add_team("b", NOW)
    kept = audit.read_head(
        "other lines\n" + repr_json(audit.head_document(audit.signed_head(store, vault, NOW)))
    )
    store.add_team("c", NOW)
    verdict = audit.verify(store)
    assert audit.compared(store, vault, verdict, kept) == verdict
    forged = kept._replace(head=Head(2, b"x" * 32))
    with pytest.raises(Exception, match="not signed"):
        audit.compared(store, vault, verdict, forged)
    gone = audit.signed_head(store, vault, NOW)._replace(head=Head(9, b"x" * 32))
    signed = gone._replace(signature=audit._signature(vault, gone.head, NOW))
    assert audit.compared(store, vault, verdict, signed).bad_seq == 4
    other = kept._replace(head=Head(2, b"y" * 32))
    signed = other._replace(signature=audit._signature(vault, other.head, NOW))
    assert audit.compared(store, vault, verdict, signed).bad_seq == 2


def repr_json(document: dict[str, Any]) -> str:
    return repr(document).replace("'", '"')


def test_failed_sign_ins_are_recorded_together_and_only_if_there_were_some(
    store: SqlStore,
) -> None:
    failed = audit.FailedSignIns()
    failed.record(store)
    assert written(store) == []
    for number in range(1_000):
        failed.count("link_rejected", f"192.0.2.{number % 50}")
        failed.count(f"way {number}", "")
    failed.record(store)
    failed.record(store)
    (entry,) = written(store)
    assert entry.action == Action.SIGN_IN_FAILED
    assert entry.data["failures"]["link_rejected"] == 1_000
    assert sum(entry.data["failures"].values()) == 2_000
    assert len(entry.data["failures"]) <= audit.WAYS_MAX + 1
    assert len(entry.data["addresses"]) <= audit.ADDRESSES_MAX


def test_sign_ins_are_counted_while_the_store_is_away_and_none_is_forgotten(
    store: SqlStore,
) -> None:
    """They are counted on the loop that answers everybody: it must not wait for the store."""
    failed = audit.FailedSignIns()

    class Away:
        def add_audit(self, record: Record) -> AuditEntry:
            counting = threading.Thread(
                target=failed.count, args=("link_rejected", "192.0.2.2"), daemon=True
            )
            counting.start()
            counting.join(10)
            assert not counting.is_alive(), "counting waits for the store"
            raise OSError("the store is away")

    failed.count("password_rejected", "192.0.2.1")
    with pytest.raises(OSError, match="away"):
        failed.record(cast(SqlStore, Away()))
    failed.record(store)
    (entry,) = written(store)
    assert entry.data["failures"] == {"password_rejected": 1, "link_rejected": 1}
    assert entry.data["addresses"] == ["192.0.2.1", "192.0.2.2"]


def test_other_settings_are_recorded_by_the_names_of_their_sections(
    folder: stores.Folder,
) -> None:
    store, vault = folder.store, folder.vault

    def told(**sections: str) -> list[str]:
        return [*audit.record_configuration(store, vault, sections, "tollkeeper.yaml")]

    assert told(budgets="[]", alerts="{}") == ["alerts", "budgets"]
    assert told(budgets="[]", alerts="{}") == []
    assert told(budgets="[1]", alerts="{}") == ["budgets"]
    assert told(budgets="[1]") == ["alerts"]
    found = written(store)
    assert [entry.data["changed"] for entry in found] == [
        ["alerts", "budgets"],
        ["budgets"],
        ["alerts"],
    ]
    assert {entry.actor_kind for entry in found} == {"configuration"}


def test_every_method_that_writes_is_told_of_or_reviewed() -> None:
    """A method that is new and writes needs a line in ``audit_words``: ``LINES`` says what its
    entry says, ``UNTOLD`` why it leaves none."""
    writes = set()
    for kind in SqlStore.__mro__[:-1]:
        for node in ast.walk(ast.parse(inspect.getsource(kind))):
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                source = ast.unparse(node)
                if any(f"{way}write(" in source for way in ("_", ".", "quiet_")):
                    writes.add(node.name)
    told = set(audit_words.LINES) | set(audit_words.UNTOLD)
    assert writes - told == set()
    assert told - writes == set()
    assert not set(audit_words.LINES) & set(audit_words.UNTOLD)


def test_a_record_fits_whatever_names_it_holds(store: SqlStore) -> None:
    wild = "\0\ud800é𝄞" + "x" * 5_000
    record = Record(
        Actor(ActorKind.KEY, wild, wild, wild), Action.EXPORT, Target(wild, wild), {wild: [wild]}
    )
    entry = store.add_audit(record)
    assert last(store) == entry
    assert audit.verify(store).bad_seq is None


def test_a_session_of_nobody_known_is_no_error(store: SqlStore) -> None:
    user_id = store.add_user("a@acme.com", "A", Role.MEMBER, None, NOW).user_id
    session = Session(b"h" * 32, user_id, NOW, NOW, NOW + DAY)
    store.add_session(replace(session))
    assert last(store).actor_name == "a@acme.com"
