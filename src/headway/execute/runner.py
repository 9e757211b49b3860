"""Runs one item after another in the worker's main thread, and leaves the process as it found it."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections import OrderedDict
from contextlib import suppress
from typing import Any, NoReturn

from headway.authoring.context import use
from headway.execute import failure, processes
from headway.execute.calls import PreparedCall, Toolbox
from headway.execute.context import TaskContext
from headway.execute.desk import Desk, Item
from headway.execute.interrupts import installed
from headway.execute.logs import Capture

_THREADS = "OMP_NUM_THREADS"
_VARIANT = "HEADWAY_VARIANT"
_GANG = ("HEADWAY_GANG_RANK", "HEADWAY_GANG_SIZE", "HEADWAY_GANG_NODES")
_KEPT_RESULTS = 4096
#: How an attempt ends whose traceback belongs into its log, where one looks for it.
_TRACED = ("failed", "timed_out")


class NoFolder(Exception):
    """The folder that a task is to work in is not there."""


class Runner:
    """The life of items in one worker.

    Args:
        desk: Where items come from and outcomes go.
        capture: Of what they print.
        tools: To load and to run.
        has_gpus: Whether this node has devices, so that a task without any must see none.
    """

    def __init__(self, desk: Desk, capture: Capture, tools: Toolbox, has_gpus: bool) -> None:
        self._desk, self._capture, self._tools, self._has_gpus = desk, capture, tools, has_gpus
        self._clean = tools.keyring.masker.text
        self._interrupts = tools.interrupts
        self._pid = os.getpid()
        self._home = os.open(".", os.O_RDONLY | os.O_CLOEXEC)
        self._depth = sys.getrecursionlimit()
        self._handlers = {number: installed(number) for number in (signal.SIGTERM, signal.SIGINT)}
        #: What the executor said of each call, by index; filled by the line.
        self.calls: dict[int, dict[str, Any]] = {}
        self._prepared: dict[int, PreparedCall] = {}
        self._lease = -1
        self._results: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._threads = 0
        self._said = ("", 0)
        self._in_gang = False
        #: What variables of tasks had covered, until the task is over; None for one that was not there.
        self._covered: dict[str, str | None] = {}
        self._said_threads = _THREADS in os.environ

    def serve(self) -> None:
        """Until nothing more will come."""
        while (item := self._desk.take()) is not None:
            self.run(item)

    def is_timed(self, item: Item) -> bool:
        """Whether the executor times it, so that it must know when it begins."""
        call = self.calls.get(item[4])
        return call is not None and call["timeout"] is not None

    def forget(self, index: int) -> None:
        """A call that no item needs any more."""
        self.calls.pop(index, None)
        self._prepared.pop(index, None)

    def run(self, item: Item) -> None:
        """One attempt, whatever it does."""
        task, attempt = item[1], item[2]
        inputs = self._inputs(item)
        if inputs is None:
            self._desk.end(item, "returned", None)
            return
        self._capture.begin(task, attempt)
        began = time.perf_counter_ns()
        what, detail = self._outcome(item, inputs)
        took = (time.perf_counter_ns() - began) // 1000
        if os.getpid() != self._pid:
            self._leave_fork(what, detail)
        if what == "finished":
            self._remember(task, detail)
        elif what != "failed":
            self._end_rest(task, attempt, took)
        self._tidy()
        if what in _TRACED and failure.has_frames(detail):
            self._capture.add(detail["traceback"])
        self._capture.end(task, attempt)
        self._desk.end(item, what, [took, detail])

    def _inputs(self, item: Item) -> dict[str, Any] | None:
        """Its inputs with the results of earlier members of its lease; None if one of those is not there."""
        if item[3] != self._lease:
            self._lease = item[3]
            self._results.clear()
        inputs: dict[str, Any] = item[6]
        if None not in inputs.values():
            return inputs
        run = item[1].partition("/")[0]  # a lease may hold members of several runs
        inputs = {
            name: self._results.get(f"{run}/{name}") if ref is None else ref for name, ref in inputs.items()
        }
        return None if None in inputs.values() else inputs

    def _remember(self, task: str, ref: dict[str, Any]) -> None:
        if len(self._results) >= _KEPT_RESULTS:
            self._results.popitem(last=False)
        self._results[task] = ref

    def _outcome(self, item: Item, inputs: dict[str, Any]) -> tuple[str, Any]:
        """(what, reference or error) of running it."""
        number, task, attempt, _, index, position, _, devices, variant, gang = item
        context = TaskContext(
            self._tools.state,
            task,
            attempt,
            lambda what, done: self._desk.tell(item, what, done),
            self._interrupts,
            variant,
            self._tools.keyring,
        )
        self._desk.enter(context)
        interrupts = self._interrupts
        try:
            interrupts.arm(number)
            call = self._prepared.get(index) or self._prepare(index)
            self._environment(task, attempt, devices, variant, call)
            if gang is not None or self._in_gang:
                self._say_gang(gang)
            args, kwargs = call.bind(position, inputs)
            with use(context):
                value = call.run(task, args, kwargs)
            interrupts.disarm()
        except BaseException as error:
            interrupts.disarm()
            return self._ended(context, error)
        try:
            return "finished", self._tools.encoded(value)
        except BaseException as error:
            detail = failure.describe(error, self._clean)
            detail["message"] = f"the result, a {type(value).__name__}, cannot be kept: {detail['message']}"
            return "failed", detail

    def _ended(self, context: TaskContext, error: BaseException) -> tuple[str, Any]:
        detail = failure.describe(error, self._clean)
        if self._interrupts.raised is not None:
            return self._interrupts.raised, detail
        if context.gave_way:
            return "preempted", detail
        return "failed", detail

    def _prepare(self, index: int) -> PreparedCall:
        call = self._prepared[index] = PreparedCall(self.calls[index], self._tools)
        return call

    def _environment(
        self, task: str, attempt: int, devices: tuple[int, ...], variant: int, call: PreparedCall
    ) -> None:
        environment = os.environ
        environment["HEADWAY_TASK"] = task
        run = task.partition("/")[0]
        if (run, attempt) != self._said:  # seldom changes, and each costs a microsecond
            self._said = (run, attempt)
            environment["HEADWAY_ATTEMPT"] = str(attempt)
            environment["HEADWAY_RUN"] = run
        if devices or self._has_gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, devices))
        if len(call.threads) > 1:
            environment[_VARIANT] = str(variant)
        elif _VARIANT in environment:
            del environment[_VARIANT]
        threads = call.threads[variant]
        if threads != self._threads and not self._said_threads:
            self._threads = threads
            environment[_THREADS] = str(threads)
            _limit_loaded(threads)
        if call.variables or call.secrets:
            variables = {**call.variables, **self._tools.keyring.reveal_all(call.secrets)}
            self._covered = {name: environment.get(name) for name in variables}
            environment.update(variables)
        if call.cwd:
            try:
                os.chdir(call.cwd)
            except OSError as error:
                raise NoFolder(
                    f"its working folder {call.cwd} cannot be used on this node: {error.strerror}"
                ) from None

    def _say_gang(self, gang: tuple[int, tuple[str, ...]] | None) -> None:
        """What a program needs to meet the others of its gang, or nothing of a former one."""
        self._in_gang = gang is not None
        if gang is None:
            for name in _GANG:
                os.environ.pop(name, None)
            return
        rank, nodes = gang
        os.environ.update(zip(_GANG, (str(rank), str(len(nodes)), ",".join(nodes)), strict=True))

    def _tidy(self) -> None:
        """Undo what a task may have changed for all: folder, signals, recursion limit, alarms."""
        with suppress(OSError):
            os.fchdir(self._home)
        for name, value in self._covered.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._covered = {}
        for number, handler in self._handlers.items():
            if installed(number) is not handler:
                signal.signal(number, handler)
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._interrupts.restore()
        if sys.getrecursionlimit() != self._depth:
            sys.setrecursionlimit(self._depth)
        if not gc.isenabled():
            gc.enable()

    def _end_rest(self, task: str, attempt: int, took: int) -> None:
        """An attempt that was told to end leaves no processes: neither its descendants nor those that carry
        its mark."""
        ticks = os.sysconf("SC_CLK_TCK")
        born = int((time.clock_gettime(time.CLOCK_BOOTTIME) - took / 1e6) * ticks) - 1

        def left() -> set[int]:
            marks = processes.marked(f"HEADWAY_TASK={task}", f"HEADWAY_ATTEMPT={attempt}")
            return {*marks, *processes.descendants(self._pid, born_after=born)}

        processes.end(left, gently=min(0.5, self._tools.patience))

    def _leave_fork(self, what: str, detail: Any) -> NoReturn:
        """The task forked, and this is the child: it has returned from code that is the parent's to
        report."""
        with suppress(Exception):
            if what != "finished":
                sys.stderr.write(f"{detail['traceback']}\n")
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(0 if what == "finished" else 1)


def _limit_loaded(threads: int) -> None:
    """Libraries that are loaded have read their environment: tell them by threadpoolctl, if it is there."""
    if "numpy" in sys.modules:
        with suppress(ImportError):
            import threadpoolctl  # type: ignore[import-untyped]

            threadpoolctl.threadpool_limits(threads)
