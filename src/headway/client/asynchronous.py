"""The asyncio client: the same calls as the blocking one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from headway.client import answers, calls, outcome
from headway.client.address import find
from headway.client.calls import Request
from headway.client.resume import PATIENCE, Attempts, found_again
from headway.client.submission import Submission, missing_of
from headway.client.wire_async import AsyncWire
from headway.errors import Invalid

View = dict[str, Any]
STREAM_IDLE = 45.0
"""Longest silence of an event stream, seconds; the service says something every 15."""
LONG_POLL = 25.0
_AGAIN_AFTER = 0.2


class AsyncClient:
    """Talks to a service from one event loop.

    Args:
        state: Its state folder; by default the one of the settings.
        url: Its URL instead (or `HEADWAY_URL`).
        token: To show it (or `HEADWAY_TOKEN`); by default the one in the state folder.
        patience: Seconds for which a service that answered before may be away.

    Raises:
        Unavailable: No service runs there.
        Denied: Its token cannot be read.
    """

    def __init__(
        self,
        state: str | Path | None = None,
        *,
        url: str | None = None,
        token: str | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._wire = AsyncWire(find(state=state, url=url, token=token))
        self._patience = patience
        self._met = False

    @property
    def url(self) -> str:
        """Of the service."""
        return self._wire.address.url

    def close(self) -> None:
        """Close the connections. It can be used again all the same."""
        self._wire.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ── runs ──────────────────────────────────────────────────────────────────────────────────────

    async def submit(
        self, workflow: Any, /, *args: Any, idempotency_key: str | None = None, **params: Any
    ) -> AsyncRunHandle:
        """Trace a workflow with its parameters and submit it.

        Args:
            workflow: A function decorated with `@workflow`.
            args: Its positional parameters.
            idempotency_key: The same again gives the first run, even if the first answer was lost.
            params: Its named parameters.
        """
        from headway.client.packing import pack

        # Tracing runs the caller's own code: it stays in the caller's thread, as in the blocking client.
        return await self.submit_packed(pack(workflow, args, params), idempotency_key=idempotency_key)

    async def submit_packed(
        self, submission: Submission, *, idempotency_key: str | None = None
    ) -> AsyncRunHandle:
        """Submit what is packed; blobs the service lacks are sent first."""
        request = calls.submit(submission.body, idempotency_key or submission.run)
        return AsyncRunHandle(self, await self._with_blobs(request, submission))

    async def _with_blobs(self, request: calls.Request, submission: Submission) -> Any:
        """The answer; if the service lacks content, that is sent and the request made again."""
        try:
            return await self._ask(request)
        except Invalid as error:
            if not (missing := missing_of(error.fields, submission)):
                raise
        for sha in missing:
            await self._ask(calls.put_blob(sha, submission.blobs[sha]))
        return await self._ask(request)

    async def get(self, run: str) -> AsyncRunHandle:
        """A handle on a run. Raises NotFound."""
        return AsyncRunHandle(self, await self.run(run))

    async def runs(
        self,
        *,
        state: str | None = None,
        limit: int = 100,
        after: str | None = None,
        workflow: str | None = None,
        version: str | None = None,
    ) -> list[View]:
        """Newest first."""
        found: list[View] = await self._ask(calls.runs(state, limit, after, workflow, version))
        return found

    async def run(self, id: str, *, wait: float = 0) -> View:
        """A run's view; with `wait` when it is over, at the latest after so many seconds (60 at most)."""
        view: View = await self._ask(calls.run(id, wait))
        return view

    async def cancel(self, target: str, reason: str = "") -> View:
        """Cancel a run, or a task by `<run>/<name>`."""
        view: View = await self._ask(calls.cancel(target, reason))
        return view

    async def approve(self, task: str, yes: bool, reason: str = "") -> View:
        """Answer an approval (`<run>/<task>`) with yes or no."""
        view: View = await self._ask(calls.approve(task, yes, reason))
        return view

    async def signal(self, run: str, name: str, value: Any = None, reason: str = "") -> View:
        """Give a signal, with any JSON as its value, to a run."""
        view: View = await self._ask(calls.signal(run, name, value, reason))
        return view

    async def pause(self, target: str, reason: str = "", *, stop: bool = False) -> View:
        """Let nothing of a run, or of a task by `<run>/<name>`, start; with `stop` end what runs, too."""
        view: View = await self._ask(calls.pause(target, reason, stop))
        return view

    async def resume(self, target: str) -> View:
        """Let it start again."""
        view: View = await self._ask(calls.resume(target))
        return view

    async def edit(
        self,
        target: str,
        *,
        priority: int | None = None,
        weight: int | None = None,
        deadline: int | None = None,
        reason: str = "",
    ) -> View:
        """Change priority, milli-weight or deadline (microseconds since 1970) of a run or a task that has not ended."""
        changes = {"priority": priority, "weight": weight, "deadline": deadline}
        view: View = await self._ask(calls.edit(target, changes, reason))
        return view

    async def retry(self, run: str) -> View:
        """Run again what failed, was cancelled or skipped."""
        view: View = await self._ask(calls.retry(run))
        return view

    # ── tasks, nodes, policy ──────────────────────────────────────────────────────────────────────

    async def tasks(
        self, run: str | None = None, *, state: str | None = None, limit: int = 1000, offset: int = 0
    ) -> list[View]:
        """Tasks of a run, or of all."""
        found: list[View] = await self._ask(calls.tasks(run, state, limit, offset))
        return found

    async def task(self, id: str) -> View:
        """A task by `<run>/<name>`."""
        view: View = await self._ask(calls.task(id))
        return view

    async def why(self, task: str, *, at: int | None = None) -> View:
        """Why it runs where it runs, or what it waits for, and when it should start.

        Args:
            at: As of then, microseconds since the epoch.
        """
        view: View = await self._ask(calls.why(task, at))
        return view

    def logs(self, task: str, *, follow: bool = False, tail: int | None = None) -> AsyncIterator[bytes]:
        """What it printed, in pieces; with `follow` until it is over."""
        return self._stream(calls.logs(task, follow, tail), idle=float("inf") if follow else STREAM_IDLE)

    async def nodes(self) -> list[View]:
        """What there is to run on."""
        found: list[View] = await self._ask(calls.nodes())
        return found

    async def windows(self) -> list[View]:
        """Maintenance windows and reservations that are not over."""
        found: list[View] = await self._ask(calls.windows())
        return found

    async def set_window(self, kind: str, *, start: int, end: int, **fields: Any) -> View:
        """Take nodes into maintenance, or reserve them; see `POST /v1/windows`. Times are microseconds since 1970."""
        body = {"kind": kind, "start": start, "end": end, **fields}
        view: View = await self._ask(calls.set_window(body))
        return view

    async def clear_window(self, id: str) -> View:
        """End a window now."""
        view: View = await self._ask(calls.clear_window(id))
        return view

    # ── schedules ─────────────────────────────────────────────────────────────────────────────────

    async def schedule(self, name: str, workflow: Any, /, when: View, **params: Any) -> View:
        """Register a workflow to run by itself.

        Args:
            name: Of the schedule; the same again registers a new version.
            workflow: A function decorated with `@workflow`. What it has of the parameters `interval_start`, `interval_end` and
                `event` it gets from each run's time or event, to be passed on to tasks.
            when: `{"cron": "30 5 * * mon-fri", "zone": "Europe/Berlin"}`, `{"every": "15min"}`, `{"file": "/in/*.csv"}`,
                `{"http": True}` or `{"mqtt": "lab/+/done"}`; also `catchup`, `overlap`, `limit`.
            params: Its other parameters.

        Raises:
            Invalid: The schedule or the parameters make no sense; nothing is registered.
        """
        from headway.client.packing import pack_schedule

        submission = pack_schedule(workflow, when, params)
        view: View = await self._with_blobs(calls.set_schedule(name, submission.body), submission)
        return view

    async def schedules(self) -> list[View]:
        """All of them, with their next time."""
        found: list[View] = await self._ask(calls.schedules())
        return found

    async def get_schedule(self, name: str, *, count: int = 5) -> View:
        """One, with its next `count` times. Raises NotFound."""
        view: View = await self._ask(calls.schedule(name, count))
        return view

    async def remove_schedule(self, name: str) -> View:
        """Forget it; its runs go on."""
        view: View = await self._ask(calls.remove_schedule(name))
        return view

    async def pause_schedule(self, name: str, reason: str = "") -> View:
        """Start nothing more of it."""
        view: View = await self._ask(calls.pause_schedule(name, reason))
        return view

    async def resume_schedule(self, name: str) -> View:
        """Go on with its next time; those that passed meanwhile are for a backfill."""
        view: View = await self._ask(calls.resume_schedule(name))
        return view

    async def backfill(
        self, name: str, *, start: int, end: int, parallel: int = 1, limit: int = 1000
    ) -> View:
        """One run for each of its times from `start` to before `end` that has none yet; microseconds since 1970."""
        body = {"start": start, "end": end, "parallel": parallel, "limit": limit}
        view: View = await self._ask(calls.backfill(name, body))
        return view

    async def cancel_backfill(self, name: str) -> View:
        """Start no more of a backfill."""
        view: View = await self._ask(calls.cancel_backfill(name))
        return view

    async def send_event(self, name: str, payload: Any = None, *, key: str | None = None) -> View:
        """Say that what a schedule waits for has happened; `{"run", "repeated"}`. The same key is the same event."""
        from headway.client.submission import new_run_id

        view: View = await self._ask(calls.send_event(name, payload, key or new_run_id(name)))
        return view

    async def tenants(self) -> list[View]:
        """Tenants with what they use, may use, borrow and lend."""
        found: list[View] = await self._ask(calls.tenants())
        return found

    async def rates(self) -> list[View]:
        """Rate-limited resources, and what is taken of them now."""
        found: list[View] = await self._ask(calls.rates())
        return found

    async def pools(self) -> list[View]:
        """Pools of slots that the whole cluster shares, and how many are used now."""
        found: list[View] = await self._ask(calls.pools())
        return found

    async def set_pool(self, pool: str, slots: int | None) -> View:
        """Change how many slots a pool has, or lift it with None."""
        view: View = await self._ask(calls.set_pool(pool, slots))
        return view

    async def set_quota(self, tenant: str, quota: View | None) -> View:
        """Change what a tenant may hold (as in `[tenants.NAME]`: `{"quota": {"gpu": 8}}`), or lift it with None."""
        view: View = await self._ask(calls.set_quota(tenant, quota))
        return view

    async def set_rate(self, rate: str, limit: View | None) -> View:
        """Change how much may be taken of a rate (as in `[rates.NAME]`: `{"amount": 2000, "per": "1min"}`), or lift it with
        None."""
        view: View = await self._ask(calls.set_rate(rate, limit))
        return view

    async def tokens(self) -> list[View]:
        """Who holds a token, or held one; never a token itself."""
        found: list[View] = await self._ask(calls.tokens())
        return found

    async def create_token(
        self, name: str, role: str, *, tenants: Iterable[str] = (), lasts: int | None = None
    ) -> View:
        """Give somebody a token; the view has it as `token`, this once.

        Args:
            name: Under which everything done with it is kept; given once.
            role: `viewer`, `submitter`, `operator` or `admin`.
            tenants: Whose runs it may see and steer; none stands for all.
            lasts: Microseconds until it ends by itself.
        """
        view: View = await self._ask(calls.create_token(name, role, list(tenants), lasts))
        return view

    async def revoke_token(self, name: str) -> View:
        """Take a token back, from the next request on."""
        view: View = await self._ask(calls.revoke_token(name))
        return view

    async def rotate_token(self, name: str, *, keep: int = 0) -> View:
        """A new token for the same holder, as `token`; the present one stays good for `keep` microseconds."""
        view: View = await self._ask(calls.rotate_token(name, keep))
        return view

    async def audit(
        self,
        *,
        principal: str = "",
        act: str = "",
        object: str = "",
        outcome: str = "",
        since: int = 0,
        until: int = 0,
        before: int = 0,
        limit: int = 100,
    ) -> list[View]:
        """Who changed what, newest first; what is empty or 0 does not matter. See `GET /v1/audit`."""
        wanted = {
            "principal": principal,
            "act": act,
            "object": object,
            "outcome": outcome,
            "since": since,
            "until": until,
            "before": before,
        }
        found: list[View] = await self._ask(calls.audit(limit, wanted))
        return found

    async def whoami(self) -> View:
        """Whose token this client shows: name, role, tenants."""
        view: View = await self._ask(calls.whoami())
        return view

    async def stats(self) -> View:
        """Counts of the roles."""
        view: View = await self._ask(calls.stats())
        return view

    async def version(self) -> View:
        """Of the service and its API."""
        view: View = await self._ask(calls.version())
        return view

    async def ready(self) -> View:
        """Raises Unavailable if it takes no work now."""
        view: View = await self._ask(calls.ready())
        return view

    async def policy(self) -> View:
        """What is in force: order, discipline, placement, and the plan under `joint` (else None)."""
        view: View = await self._ask(calls.policy())
        return view

    async def set_policy(self, order: str, discipline: str = "skip", placement: str = "") -> View:
        """Change who goes first, and (unless empty) which of the nodes with room is best."""
        view: View = await self._ask(calls.set_policy(order, discipline, placement))
        return view

    async def overrides(self) -> list[View]:
        """Overrides in force: who, why, until when."""
        found: list[View] = await self._ask(calls.overrides())
        return found

    async def agents(self) -> list[View]:
        """Agents: what each may do, when it was last heard, what became of its proposals."""
        found: list[View] = await self._ask(calls.agents())
        return found

    async def override(
        self,
        kind: str,
        target: str,
        reason: str,
        *,
        ttl: int = 3_600_000_000,
        amount: int = 1,
        node: str = "",
    ) -> View:
        """Boost, hold or pin a task or a run for `ttl` microseconds."""
        view: View = await self._ask(calls.override(kind, target, reason, ttl, amount, node))
        return view

    async def revert(self, id: str) -> View:
        """End an override now."""
        view: View = await self._ask(calls.revert(id))
        return view

    async def events(self, run: str | None = None) -> AsyncIterator[View]:
        """Changes as they come, each with its kind as `event`; of one run they end with it.

        When the service restarts the stream is taken up again: a `run` event with the present view says so.
        """
        while True:
            parser = answers.EventParser()
            with suppress(OSError):
                async for piece in self._stream(
                    calls.run_events(run) if run else calls.events(), idle=STREAM_IDLE
                ):
                    for event in parser.feed(piece):
                        yield event
                        if event["event"] == "end":
                            return
            await asyncio.sleep(_AGAIN_AFTER)

    async def read_blob(self, sha: str) -> bytes:
        """The content of a blob."""
        status, body = await self._exchange(calls.get_blob(sha))
        if status >= 400:
            raise answers.error_of(status, body)
        return body

    # ── the connection ────────────────────────────────────────────────────────────────────────────

    async def _ask(self, request: Request) -> Any:
        return answers.json_of(*await self._exchange(request))

    async def _exchange(self, request: Request) -> tuple[int, bytes]:
        answer: tuple[int, bytes] = await self._persist(request, lambda: self._wire.ask(request))
        return answer

    async def _stream(self, request: Request, idle: float) -> AsyncIterator[bytes]:
        wait = None if idle == float("inf") else idle
        status, pieces = await self._persist(request, lambda: self._wire.stream(request, wait))
        if status >= 400:
            raise answers.error_of(status, b"".join([piece async for piece in pieces]))
        async for piece in pieces:
            yield piece

    async def _persist(self, request: Request, attempt: Callable[[], Awaitable[Any]]) -> Any:
        attempts = Attempts(request, met=self._met, patience=self._patience)
        while True:
            try:
                answer = await attempt()
            except OSError as error:
                await asyncio.sleep(attempts.pause(self._wire.address, error))
                if (address := found_again(self._wire.address)) != self._wire.address:
                    self._wire.close()
                    self._wire = AsyncWire(address)
            else:
                self._met = True
                return answer


class AsyncRunHandle:
    """A run on a service.

    Attributes:
        view: As it was when last looked at.
    """

    def __init__(self, client: AsyncClient, view: View) -> None:
        self._client = client
        self.view = view

    def __repr__(self) -> str:
        return f"<run {self.id} {self.state}>"

    @property
    def id(self) -> str:
        """Of the run."""
        return str(self.view["id"])

    @property
    def state(self) -> str:
        """When last looked at: running, finished, failed or cancelled."""
        return str(self.view["state"])

    async def refresh(self) -> View:
        """Look again."""
        self.view = await self._client.run(self.id)
        return self.view

    async def wait(self, timeout: float | None = None) -> View:
        """Wait until it is over, however it ends.

        Args:
            timeout: Seconds; None waits as long as it takes.

        Raises:
            WaitTimeout: It is still running.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while self.state == "running":
            left = LONG_POLL if until is None else min(LONG_POLL, max(0.0, until - time.monotonic()))
            self.view = await self._client.run(self.id, wait=round(left, 3))
            if self.state == "running" and until is not None and time.monotonic() >= until:
                raise outcome.timed_out(self.view, timeout or 0)
        return self.view

    async def result(self, timeout: float | None = None) -> Any:
        """Wait, and return what the workflow returned.

        Raises:
            RunFailed: It failed or was cancelled.
            WaitTimeout: It is still running.
        """
        outcome.check_finished(await self.wait(timeout))
        tree = self.view["result"]
        blobs = {sha: await self._client.read_blob(sha) for sha in outcome.blobs_in(tree)}
        return outcome.decode(tree, blobs.__getitem__)

    async def cancel(self, reason: str = "") -> View:
        """Ask for its end; `wait` to see it."""
        self.view = await self._client.cancel(self.id, reason)
        return self.view

    async def retry(self) -> View:
        """Run again what failed, was cancelled or skipped."""
        self.view = await self._client.retry(self.id)
        return self.view

    async def tasks(self, *, state: str | None = None) -> list[View]:
        """All its tasks."""
        found: list[View] = []
        while page := await self._client.tasks(self.id, state=state, offset=len(found)):
            found += page
            if len(page) < 1000:
                break
        return found

    def events(self) -> AsyncIterator[View]:
        """Changes as they come, until its end."""
        return self._client.events(self.id)
