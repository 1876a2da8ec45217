"""Processes that work for this one and end with it: the other ranks of a training, and the makers of batches.

They are forked from a server that has the heavy libraries imported, not from this process, whose threads and locks a
fork would copy.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import connection as pipes
from multiprocessing.context import ForkServerContext
from multiprocessing.reduction import DupFd

READY_SECONDS = 300.0
"""How long a process may take to import its libraries."""
READY = "ready"
"""What a process says when it has imported them; what it says instead, or later, is why it failed."""
EXIT_SECONDS = 10.0
"""How long one whose work is done may take to go."""


class FollowerFailed(RuntimeError):  # noqa: N818 (says what happened)
    """A process that works for this one has failed."""


class FollowerDied(FollowerFailed):
    """It ended without a word."""


def fork_server() -> ForkServerContext:
    """Return the server's context, which imports what training needs once, when it starts."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lm_modules.training.pretraining"])
    return context


def end_with_parent(worker: int = 0) -> None:
    """Let this process be killed as soon as the one that asked for it is gone, however that ended.

    What a fork server starts has the server for a parent as the system sees it, and would not notice.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        pipes.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def first_failure(followers: list[Follower]) -> Exception | None:
    """Return why the connection to some of these broke: a death, a user's mistake, or another error, in this order.

    What dies breaks the connections of those that live, so most of the errors are not the first.
    """
    deadline = time.monotonic() + EXIT_SECONDS
    while time.monotonic() < deadline:
        failures = [failure for each in followers if (failure := each.failure())]
        if failures:
            return min(
                failures, key=lambda each: (not isinstance(each, FollowerDied), not isinstance(each, ValueError))
            )
    return None


class Follower:
    """Another rank: a process that calls `job(rank)`, from its start to its end."""

    def __init__(self, rank: int, job: Callable[[int], None]) -> None:
        self.rank = rank
        self._said: tuple[bool, str, str] | None = None
        context = fork_server()
        self._pipe, theirs = context.Pipe()
        outputs = [DupFd(stream) for stream in (1, 2)]
        # pickled here, so that an error in it is raised here
        arguments = (theirs, rank, pickle.dumps(job), dict(os.environ), outputs)
        self._process = context.Process(target=_main, args=arguments, name=f"rank {rank}")
        self._process.start()
        theirs.close()

    def wait_until_ready(self) -> None:
        """Return when the process has imported what it needs; FollowerFailed if it cannot."""
        if not self._pipe.poll(READY_SECONDS):
            raise FollowerFailed(f"rank {self.rank} did not start within {READY_SECONDS:g} seconds")
        try:
            said = self._pipe.recv()
        except EOFError:
            raise FollowerFailed(f"rank {self.rank} did not start") from None
        if said != READY:
            self._said = said
            raise FollowerFailed(f"rank {self.rank} did not start")  # why is what `failure` returns

    def failure(self) -> Exception | None:
        """Return what ended this rank before its time; None while it lives, and after an orderly end."""
        if not pipes.wait([self._process.sentinel], 0.2):
            return None
        self._process.join()
        with suppress(EOFError, OSError):
            if self._pipe.poll():
                said = self._pipe.recv()
                self._said = self._said or (said if said != READY else None)
        if self._said is not None:
            user_mistake, message, told = self._said
            return ValueError(message) if user_mistake else FollowerFailed(f"rank {self.rank} failed: {told}")
        code = self._process.exitcode
        if not code:
            return None
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return FollowerDied(
            f"rank {self.rank} {how}; the same command continues from the last checkpoint. If the machine ran out of "
            "memory, lower compute.devices or optimization.micro_batch_rows (in a fine-tuning micro_batch_examples)"
        )

    def end(self) -> None:
        """Let the process go if its work is done, else end it."""
        self._pipe.close()
        if sys.exc_info()[0] is None:
            self._process.join(EXIT_SECONDS)
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self._process.close()


def _main(pipe: pipes.Connection, rank: int, job: bytes, environment: dict[str, str], outputs: list) -> None:
    # rank 0 decides when all end: a signal to the whole group (Ctrl-C) must not end this one in mid-step
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    end_with_parent()
    os.environ.clear()
    os.environ.update(environment)
    for stream, output in zip((1, 2), outputs, strict=True):
        os.dup2(output.detach(), stream)
    # what it has to say, rank 0 says as well
    logging.basicConfig(level=logging.ERROR, force=True)
    try:
        work = pickle.loads(job)
        pipe.send(READY)
        work(rank)
    except BaseException as error:
        told = "".join(traceback.format_exception(error))
        with suppress(OSError):
            pipe.send((isinstance(error, ValueError), str(error), told))
        os._exit(1)  # without waiting for what is left of the others' connections
