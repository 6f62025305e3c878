"""One call on its way back: relayed, metered, posted.

The last bytes of a reply go to the client only after the call's outcome is posted in the
journal. So whatever a client has seen in full is in the ledger, also after kill -9.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from tollkeeper import clock
from tollkeeper.domain.calls import Held, Settled
from tollkeeper.domain.errors import Refused, TollkeeperError, UpstreamFailed
from tollkeeper.domain.ledger import Outcome, entries_of
from tollkeeper.domain.litellm_keys import over_budget_status
from tollkeeper.domain.money import usd_text
from tollkeeper.domain.routing import CutPolicy
from tollkeeper.gateway.endings import Unanswered, ending_of, ending_without_reply, unfinished
from tollkeeper.gateway.job_bills import post_job
from tollkeeper.gateway.rate_limits import standing_lines
from tollkeeper.gateway.reply_meter import KeptReply, ReplyMeter
from tollkeeper.gateway.reply_notes import notes_of
from tollkeeper.gateway.sending import OutgoingRequest, Sending
from tollkeeper.gateway.shared import Gateway
from tollkeeper.gateway.ways import Way
from tollkeeper.http1.exchange import Exchange
from tollkeeper.http1.reply_heads import ReplyHead
from tollkeeper.services.rate_gate import Ticket
from tollkeeper.services.settlement import Ending, settle, total_cost_nanos
from tollkeeper.wire.asked import Asked
from tollkeeper.wire.refusals import refusal

CALL_ID_LINE: Final = b"x-tollkeeper-call-id: %b\r\n"
_AS_IF_DISCONNECTED: Final = frozenset({Outcome.OK, Outcome.INCOMPLETE})


class Relay:
    """Carries one call: sends it, relays and meters its reply, posts its outcome.

    It may wait for budgets before it has ``begun``; then nothing is held, sent or posted.
    ``on_started`` is called when a streamed body may follow (see ``upload``).
    """

    def __init__(
        self,
        gateway: Gateway,
        exchange: Exchange,
        way: Way,
        held: Held,
        request: OutgoingRequest,
        on_started: Callable[[], None] | None = None,
    ) -> None:
        self._meter: ReplyMeter | None = None
        self._lines = b""  # of the reply head, until it is sent
        self._kept: KeptReply | None = None  # a plain reply, until it is whole
        self._unreleased: bytes | None = None  # what waits for the outcome to be posted
        self.begun = False
        self.ticket: Ticket | None = None  # its place at rate limits, if it concerns any
        self._settled = False
        self._reply_ended = False
        self._gone = False
        self._detached = False
        self._abandoned = False
        self._blocked = False  # the client takes nothing at the moment
        self._ttft_s: float | None = None
        self._drain_limit: asyncio.TimerHandle | None = None
        self._gateway = gateway
        self._exchange = exchange
        self._way = way
        self._held = held
        self._on_started = on_started
        self._sending = Sending(gateway, way.plan.origin, held, request, self)
        self._started_s = clock.monotonic_s()

    def start(self) -> None:
        """Send the call. Only the desk, which asks its budgets, calls this."""
        self.begun = True
        self._gateway.relays.add(self)
        self._sending.start()

    # ------------------------------------------------------------------ sending

    def wanted(self) -> bool:
        return not self._gone

    def sending_started(self) -> None:
        if self._on_started is not None:
            self._on_started()

    def not_held(self, error: Refused, about: str = "") -> None:
        """Refuse the call at once; the note of it may wait until the disk has room.

        ``about`` is the id of the budget that refused it, "" for another reason.
        """
        self._settled = self._reply_ended = True
        ending = self._ending(Outcome.REFUSED, error)
        settled = settle(self._held, ending, self._gateway.prices)
        self._gateway.call_ended(self._way, ending, 0)
        self._gateway.void(self._held, self.ticket)
        for entry in entries_of(self._held, settled):
            self._gateway.refused(entry, about)
        self._release(settled, error)
        self._exchange.resume_body()

    def not_sent(self, error: TollkeeperError) -> None:
        self._reply_ended = True
        refused = isinstance(error, Refused)
        self._settle(Outcome.REFUSED if refused else Outcome.UPSTREAM_FAILED, error)

    def not_wanted(self) -> None:
        self._settled = True
        self._gateway.journal.void(self._held.entry_id)
        self._gateway.void(self._held, self.ticket)
        self._done()

    def name_model(self, model: str) -> None:
        """Take in the model's name, where the body told it only after it was being sent.

        Raises BadRequest where other budgets or limits than those that were asked would decide.
        """
        profile = self._held.profile._replace(model=model, model_requested=model)
        self._gateway.require_alike(self._way, profile, self._held.started_at_us)
        self._held = self._held._replace(profile=profile)

    def ask_for(self, asked: Asked) -> None:
        """Take in what the body said of its price only after it was being sent."""
        self._held = self._held._replace(asked_units=asked.units, asked_terms=asked.terms)

    def upload(self, data: bytes, *, last: bool) -> None:
        """Send more of a streamed body."""
        self._sending.upload(data, last=last)

    def upload_writable(self, *, writable: bool) -> None:
        if writable:
            self._exchange.resume_body()
        else:
            self._exchange.pause_body()

    # ------------------------------------------------------------------ the reply

    def reply_head(self, head: ReplyHead, length: int | None) -> None:
        status = head.status
        if 300 <= status < 400 and status != 304:
            self._refuse_head(
                UpstreamFailed("the provider answered with a redirect", code="redirect")
            )
            return
        try:
            notes = notes_of(head, self._gateway.headers)
        except UpstreamFailed as error:
            self._refuse_head(error)
            return
        self._sending.answered()
        if self._blocked:
            self._sending.pause()
        way, lines = self._way, notes.lines(head)
        if status >= 400:
            lines = way.plan.without_key(lines)
        if self.ticket is not None:
            lines = standing_lines(self._gateway, way, self.ticket, lines)
        desk = self._gateway.desk
        budget_lines = b"" if desk is None or not desk.counts else desk.lines(way)
        self._lines = lines + CALL_ID_LINE % self._held.call_id.encode() + budget_lines
        meter = self._meter = ReplyMeter(
            way.endpoint.reader,
            head,
            notes,
            length,
            streamed=way.profile.streamed,
            hides_usage=way.hides_usage,
        )
        if meter.whole:
            self._kept = KeptReply()
        else:
            # A stream may lose a chunk or end with an error of ours: then no length holds.
            known = None if meter.event_stream else length
            self._lines = self._exchange.head(status, self._lines, known)

    def _refuse_head(self, error: UpstreamFailed) -> None:
        self._sending.let_go()
        self._fail(error)

    def reply_data(self, data: bytes, *, last: bool) -> None:
        if self._ttft_s is None:
            self._ttft_s = clock.monotonic_s()
        meter = self._meter
        if meter is None:
            return  # the head was not acceptable, and the call has ended
        self._reply_ended = last
        if self._kept is not None:
            whole = self._kept.add(data, last=last)
            if whole is None:
                return
            self._kept = None
            if not last:  # too large to be worth the wait
                self._lines = self._exchange.head(meter.status, self._lines, None)
            data = whole
        if meter.status >= 400:
            data = self._way.plan.without_key(data)  # some tell which key was wrong
        shown = meter.feed(data, last=last)
        if self._settled:
            self._after_settlement(shown)
        elif last or meter.finished:
            self._unreleased = shown
            self._settle(Outcome.OK if meter.status < 400 else Outcome.UPSTREAM_ERROR)
        else:
            self._exchange.write(shown, self._take_lines())

    def _after_settlement(self, shown: bytes) -> None:
        if self._unreleased is not None:
            self._unreleased += shown
        elif self._reply_ended:
            self._exchange.end(shown, self._take_lines())
            self._done()
        else:
            self._exchange.write(shown, self._take_lines())

    def reply_failed(self, error: UpstreamFailed, *, retriable: bool) -> None:
        self._sending.connection = None
        if not (retriable and self.wanted() and self._sending.send_again()):
            self._fail(error)

    def _fail(self, error: TollkeeperError) -> None:
        """End a call whose reply will not be completed, as far as it has come."""
        self._reply_ended = True
        meter = self._meter
        if self._settled:
            self._after_settlement(b"")
        elif meter is None:
            self._settle(Outcome.UPSTREAM_FAILED, error)
        else:
            if meter.event_stream:
                self._unreleased = meter.last_words(self._way.endpoint, error)
            self._settle(Outcome.INCOMPLETE, error)

    # ------------------------------------------------------------------ the client

    def body(self, data: bytes) -> None:
        """The request is complete; there is no more of it."""

    def body_end(self) -> None:
        """The request was complete before this relay began."""

    def client_gone(self) -> None:
        """The client left. What the provider still does is metered by its cut policy."""
        if self._gone:
            return
        self._gone = True
        if not self.begun:
            self._gateway.void(self._held, self.ticket)
        self._sending.resume()
        if self._settled:
            return  # all that matters of the reply was there
        gateway, settings = self._gateway, self._gateway.settings
        gateway.counters.disconnects += 1
        if not self._sending.sent:
            return
        streamed = self._held.profile.streamed
        if not self._works_on() or gateway.drains >= settings.drains_max:
            self._abandon()
            return
        self._detached = True
        gateway.drains += 1
        gateway.counters.drained += 1
        limit_s = settings.abandoned_s if streamed else settings.first_byte_s
        self._drain_limit = asyncio.get_running_loop().call_later(limit_s, self._abandon)

    def client_writable(self, *, writable: bool) -> None:
        """The client stopped taking bytes, or takes them again."""
        self._blocked = not writable
        if writable:
            self._sending.resume()
        elif not self._gone:
            self._sending.pause()

    def _works_on(self) -> bool:
        """Tell whether the provider works on, and bills, when nobody reads any more."""
        streamed = self._held.profile.streamed
        return not streamed or self._way.plan.cut_policy is CutPolicy.DRAIN

    def _abandon(self) -> None:
        if not self._settled:
            self._abandoned = True
            self._sending.let_go()
            self._settle(Outcome.DISCONNECTED)

    def cut(self, error: TollkeeperError, outcome: Outcome = Outcome.UPSTREAM_FAILED) -> None:
        """End the call now, for a reason of our own."""
        if self._settled:
            return
        if not self.begun:
            self._gone = True  # whoever waits for budgets is let go
            self._gateway.void(self._held, self.ticket)
            return
        self._sending.let_go()
        if self._meter is None:
            self._reply_ended = True
            self._settle(outcome, error)
        else:
            self._fail(error)

    # ------------------------------------------------------------------ the end

    def _settle(self, outcome: Outcome, error: TollkeeperError | None = None) -> None:
        """Work out what the call cost and post it; what is unreleased follows after that."""
        if self._settled:
            return
        self._settled = True
        gateway = self._gateway
        ending = self._ending(outcome, error)
        if ending.usage is None:
            hints = gateway.hints(self._way, self._sending.asked, ending)
            ending = ending._replace(hints=hints)
        gateway.call_ended(self._way, ending, self._held.prompt_bytes)
        if gateway.failpoint:
            gateway.failpoint("gateway.post.before")
        job = ending.job
        if job is not None:
            settled = post_job(gateway, self._held, ending, job, error, self._release)
        else:
            settled = settle(self._held, ending, gateway.prices)
            gateway.journal.post(settled, lambda _: self._release(settled, error))
        gateway.settled(self._held, settled, self._way, self.ticket)

    def _ending(self, outcome: Outcome, error: TollkeeperError | None) -> Ending:
        started_s, ttft_s, meter = self._started_s, self._ttft_s, self._meter
        abandoned = self._abandoned
        duration_ms = round((clock.monotonic_s() - started_s) * 1000)
        ttft_ms = None if ttft_s is None else round((ttft_s - started_s) * 1000)
        if meter is None:
            then = Unanswered(self._way.endpoint, self._sending.sent, self._works_on())
            return ending_without_reply(outcome, error, duration_ms, then)
        ended = (self._reply_ended and error is None and not abandoned) or meter.finished
        reading = meter.close(complete=ended)
        code = "" if error is None else error.code
        if outcome is Outcome.OK and (reading.error_code or not reading.final):
            outcome, notice = unfinished(meter, reading, self._way.endpoint)
            if notice:
                self._unreleased = (self._unreleased or b"") + notice
            code = "incomplete"
        if self._gone and outcome in _AS_IF_DISCONNECTED:
            outcome = Outcome.DISCONNECTED
        complete = ended and reading.final and not reading.partial
        goes_on = abandoned and self._works_on()
        times = (duration_ms, ttft_ms)
        return ending_of(
            meter, reading, self._way.endpoint, outcome, times, code, complete, goes_on
        )

    def _release(self, settled: Settled, error: TollkeeperError | None) -> None:
        """The outcome is written: now the client may have the end of the reply."""
        if self._gateway.failpoint:
            self._gateway.failpoint("gateway.release.before")
        shown, self._unreleased = self._unreleased or b"", None
        exchange, meter = self._exchange, self._meter
        if not exchange.started:
            self._send_whole(settled, error, shown)
        elif error is not None and not (meter is not None and meter.event_stream):
            exchange.abort()  # the client must notice that this is not all
        elif self._reply_ended or self._gone:
            exchange.end(shown, self._take_lines())
        else:
            exchange.write(shown, self._take_lines())
            return  # the rest of the reply follows
        if self._gateway.failpoint:
            self._gateway.failpoint("gateway.release.after")
        self._done()

    def _send_whole(self, settled: Settled, error: TollkeeperError | None, body: bytes) -> None:
        meter, call_id = self._meter, self._held.call_id
        if error is not None or meter is None:
            fault = error or UpstreamFailed("the provider did not answer")
            who, forced = self._held.profile, self._gateway.settings.refusal_status
            forced = over_budget_status(who.tags, forced)
            endpoint, tool = self._way.endpoint, who.tool
            reply = refusal(fault, endpoint, tool, call_id=call_id, forced_status=forced)
            lines = reply.headers + CALL_ID_LINE % call_id.encode()
            self._exchange.send(reply.status, lines, reply.body)
            return
        cost = total_cost_nanos(settled)
        if cost is not None:
            self._lines += b"x-tollkeeper-cost-usd: %b\r\n" % usd_text(cost).encode()
        self._exchange.send(meter.status, self._lines, body)

    def _take_lines(self) -> bytes:
        lines, self._lines = self._lines, b""
        return lines

    def _done(self) -> None:
        self._sending.close()
        self._gateway.relays.discard(self)
        if self.ticket is not None:
            self.ticket.release()
        if self._drain_limit is not None:
            self._drain_limit.cancel()
        if self._detached:
            self._detached = False
            self._gateway.drains -= 1
