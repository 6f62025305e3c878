"""From a request to an admitted call: who calls, what they ask for, where it goes."""

from __future__ import annotations

from typing import Final

from tollkeeper.domain.access import VirtualKey
from tollkeeper.domain.calls import Held, Profile
from tollkeeper.domain.errors import NotAllowed, TollkeeperError
from tollkeeper.domain.holds import Hold
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome
from tollkeeper.domain.routing import Dialect
from tollkeeper.domain.seat_plans import plan_of
from tollkeeper.gateway.head_notes import Caller, HeadNotes
from tollkeeper.gateway.plans import Plan
from tollkeeper.gateway.shared import Gateway
from tollkeeper.gateway.ways import Spending, Way
from tollkeeper.services.call_sizes import CallKind
from tollkeeper.services.rate_gate import RateSubject
from tollkeeper.wire.aws_signature import RequestSigner
from tollkeeper.wire.clients import Client
from tollkeeper.wire.controls import Controls
from tollkeeper.wire.endpoints import Body, Endpoint, Match
from tollkeeper.wire.native_endpoints import at_kind
from tollkeeper.wire.rewrite import path_below, with_path_model
from tollkeeper.wire.tags import read_tags

_WITH_OUTPUT: Final = frozenset(
    {
        *("openai_chat", "openai_completions", "openai_responses", "anthropic_messages", "gemini"),
        *("cohere_chat", "ollama_chat", "watsonx_text", "mistral_conversations", "interactions"),
        *("bedrock_converse", "bedrock_invoke"),
    }
)
_WITH_PROMPT: Final = _WITH_OUTPUT | {"openai_embeddings", "cohere_embed", "ollama_embed"}
_WITH_HIDDEN_USAGE: Final = frozenset({"openai_chat", "openai_completions"})
_SHARED_LISTINGS: Final = frozenset(
    {
        *("/files", "/batches", "/batch/jobs", "/messages/batches", "/assistants"),
        *("/v1beta/files", "/v1beta/batches", "/v1beta/interactions", "/v1beta/cachedContents"),
    }
)
_BEGINS_BATCH: Final = frozenset({"new_batch", "new_operation"})
_ASKING: Final = frozenset({b"GET", b"HEAD", b"DELETE"})
_PREDICT: Final = "predict"  # of any kind of model: its size says nothing
_EMBEDDING_VERBS: Final = frozenset({"embedContent", "batchEmbedContents", _PREDICT})


def way_of(gateway: Gateway, caller: Caller, controls: Controls) -> Way:
    """Find the way of a call. Raises Refused; nothing has happened then."""
    notes, key = caller.notes, caller.key
    way_key = (
        controls.model,
        controls.stream,
        controls.asks_for_usage,
        controls.service_tier,
        controls.session_id or controls.prompt_cache_key,
        controls.end_customer,
    )
    ways = notes.ways_for(gateway.planner, key)
    way = ways.get(way_key)
    if way is None:
        way = _new_way(gateway, notes, key, controls)
        if not controls.tags:
            ways[way_key] = way
    elif controls.tags:
        way = _new_way(gateway, notes, key, controls)
    return way


def held_call(
    gateway: Gateway,
    way: Way,
    controls: Controls,
    body_bytes: int,
    call_id: str,
    now_us: int,
    hold: Hold | None = None,
) -> Held:
    """Give the record of a call; ``body_bytes`` is its decoded size, ``hold`` what budgets hold."""
    output = 0
    if way.has_output:
        expected = gateway.habits.expected(way.plan.model, controls.max_output_tokens)
        output = expected * controls.choices
    prompt_bytes = body_bytes if way.has_prompt else 0
    units, terms = controls.asked
    profile, nanos = way.profile, (hold[0] or 0) if hold else 0
    return Held._make(
        (call_id, call_id, now_us, 1, False, prompt_bytes, output, profile, units, terms, nanos)
    )


def _new_way(gateway: Gateway, notes: HeadNotes, key: VirtualKey, controls: Controls) -> Way:
    match = notes.match
    _require_not_shared(notes)
    requested = match.model or controls.model
    plan = _plan(gateway, notes, match, requested)
    there = at_kind(plan.kind, match)
    if there.endpoint.dialect is not match.endpoint.dialect:
        plan = _plan(gateway, notes, there, requested)
    match, endpoint = there, there.endpoint
    key.require_model(plan.provider, plan.model or requested)
    credential = plan.credential_lines(vendor_login=notes.credentials.vendor_login)
    streamed = match.streamed or controls.stream
    profile = _profile(gateway, notes, match, key, controls, plan)
    has_prompt = endpoint.reader in _WITH_PROMPT and endpoint.name != _PREDICT
    has_output = endpoint.reader in _WITH_OUTPUT and endpoint.name not in _EMBEDDING_VERBS
    head = b"%b %b HTTP/1.1\r\n%b%b%b" % (
        notes.request.method,
        _target(notes, match, plan).encode("latin-1"),
        plan.head_lines,
        credential,
        notes.lines,
    )
    return Way(
        plan=plan,
        endpoint=endpoint,
        profile=profile,
        head=head,
        hides_usage=streamed
        and plan.injects_usage
        and endpoint.reader in _WITH_HIDDEN_USAGE
        and not controls.asks_for_usage,
        renamed=bool(controls.model and plan.model and plan.model != controls.model),
        has_prompt=has_prompt,
        has_output=has_output,
        series=gateway.counters.series_of(plan.provider, endpoint.name),
        rates=RateSubject(profile),
        spending=Spending(profile, _kind_of(notes, endpoint, profile, has_prompt, has_output)),
        signer=_signer(plan, head, vendor_login=notes.credentials.vendor_login),
    )


def _kind_of(
    notes: HeadNotes, endpoint: Endpoint, profile: Profile, has_prompt: bool, has_output: bool
) -> CallKind:
    """Say what decides how much such calls hold. Whatever only asks or deletes costs nothing."""
    costless = endpoint.free or notes.request.method in _ASKING
    return CallKind(
        profile.price_provider,
        profile.model,
        profile.key_id,
        profile.tool,
        profile.tier,
        costless,
        profile.flat_rate,
        has_prompt,
        has_output,
        endpoint.reader in _BEGINS_BATCH,
    )


def _signer(plan: Plan, head: bytes, *, vendor_login: bool) -> RequestSigner | None:
    if plan.aws_key is None or vendor_login:
        return None
    return RequestSigner(plan.aws_key, head)


def _require_not_shared(notes: HeadNotes) -> None:
    """Refuse listings of what all callers share behind the operator's key.

    A file or batch can be fetched by who knows its id; to list them would tell the ids.
    """
    lists = notes.request.method == b"GET" and notes.match.upstream_path in _SHARED_LISTINGS
    if lists and not notes.credentials.vendor_login:
        raise NotAllowed(
            "this list would show what belongs to everybody behind the gateway's own key; "
            "ask for an id, or bring your own login",
            code="shared_listing",
        )


def _plan(gateway: Gateway, notes: HeadNotes, match: Match, model: str) -> Plan:
    planner = gateway.planner
    dialect = match.endpoint.dialect
    if match.provider:
        return planner.plan_at(match.provider, model, dialect)
    subscription = notes.credentials.flat_rate
    if subscription:
        plan = planner.plan_for_login(subscription, model, dialect)
        if plan is not None:
            return plan
    may_be_unnamed = match.endpoint.free or match.endpoint.unnamed or match.kind
    if not model and (may_be_unnamed or notes.body_kind is Body.MULTIPART):
        return planner.plan_unnamed(dialect, match.kind)
    return planner.plan(model, dialect, match.kind)


def _is_flat_rate(gateway: Gateway, notes: HeadNotes, plan: Plan, team: str) -> bool:
    """Tell whether a call is paid by a subscription or by a plan of the operator's."""
    if notes.credentials.flat_rate:
        return True
    login = bool(notes.credentials.vendor_login)
    plans = gateway.planner.seat_plans
    return bool(plans) and plan_of(plans, plan.provider, team, vendor_login=login) is not None


def _profile(
    gateway: Gateway,
    notes: HeadNotes,
    match: Match,
    key: VirtualKey,
    controls: Controls,
    plan: Plan,
) -> Profile:
    request, client = notes.request, notes.client
    if controls.session_id or controls.prompt_cache_key:
        client = gateway.clients.identify(request.header, controls)
    tags = read_tags(request.header, request.headers, controls.tags, key.tags)
    return Profile(
        org=key.org,
        team=key.team,
        user_id=key.user_id,
        user_name=key.user_name,
        key_id=key.key_id,
        key_name=key.name,
        end_customer=notes.end_customer or controls.end_customer,
        session_id=notes.session_id or client.session_id,
        tool=client.tool,
        tool_version=client.version,
        provider=plan.provider,
        price_provider=gateway.prices.place(plan.price_provider, plan.provider, key.team),
        model=plan.booked_model or plan.model,
        model_requested=match.model or controls.model,
        endpoint=match.endpoint.name,
        wire=match.endpoint.dialect,
        streamed=match.streamed or controls.stream,
        flat_rate=_is_flat_rate(gateway, notes, plan, key.team),
        tier=controls.service_tier[:32],
        tags=tags.values,
    )


def _target(notes: HeadNotes, match: Match, plan: Plan) -> str:
    path = match.upstream_path
    if match.model and plan.model and plan.model != match.model and not match.provider:
        path = with_path_model(path, plan.model)
    if match.provider or match.endpoint.dialect is not Dialect.GEMINI:
        return plan.base_path + path + notes.query
    return path_below(plan.base_path, path) + notes.query


def refused_entry(
    caller: Caller,
    error: TollkeeperError,
    controls: Controls,
    client: Client,
    *,
    call_id: str,
    status: int,
) -> LedgerEntry:
    """Give the entry of a refused call: it is seen in the ledger, and cost nothing."""
    notes, key, match = caller.notes, caller.key, caller.notes.match
    return LedgerEntry(
        entry_id=call_id,
        call_id=call_id,
        started_at_us=caller.now_us,
        org=key.org,
        team=key.team,
        user_id=key.user_id,
        user_name=key.user_name,
        key_id=key.key_id,
        key_name=key.name,
        end_customer=notes.end_customer or controls.end_customer,
        session_id=notes.session_id or client.session_id,
        tool=client.tool,
        tool_version=client.version,
        model_requested=match.model or controls.model,
        endpoint=match.endpoint.name,
        wire=match.endpoint.dialect,
        streamed=match.streamed or controls.stream,
        status=status,
        outcome=Outcome.REFUSED,
        error_code=error.code,
        basis=Basis.FREE,
        cost_nanos=0,
        list_cost_nanos=0,
        tags=key.tags,
    )
