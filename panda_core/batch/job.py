"""One piece of work in a thread of its own, that can be watched and stopped."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Literal

from panda_core.errors import PandaError

log = logging.getLogger(__name__)
JobState = Literal["running", "done", "stopped", "failed"]


class StoppedError(Exception):
    """Raised within a job's work to end it at once: nobody wants the result any more."""


class Job:
    """Runs ``work(job)`` at once; the work calls `step` as it goes and ends early where `stopping` says so."""

    def __init__(self, what: str, work: Callable[[Job], None], *, total: int = 0) -> None:
        """``what``: for people, e.g. "Inspecting"; ``total``: steps to come, 0 if not known yet."""
        self.what, self.total = what, total
        self.done = 0
        self.state: JobState = "running"
        self.message = ""
        """What went wrong, in a sentence; "" if nothing did."""
        self._work = work
        self._stop = threading.Event()
        self._started = time.monotonic()
        self._ended: float | None = None
        self._thread = threading.Thread(target=self._run, name=what, daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether the thread still works; a stopped job finishes its step first."""
        return self.state == "running"

    @property
    def seconds(self) -> float:
        """Since it began, or that it took."""
        return (self._ended or time.monotonic()) - self._started

    @property
    def rate(self) -> float:
        """Steps a second so far."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds to go at this rate; None as long as nobody can say."""
        return (self.total - self.done) / self.rate if self.running and self.done and self.total else None

    def step(self, count: int = 1) -> None:
        """Count finished steps."""
        self.done += count

    def stopping(self) -> bool:
        """Whether the work should end now."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask the work to end after its present step."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Whether the thread has ended, within ``seconds`` if given."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        state: JobState = "failed"
        try:
            self._work(self)
            state = "stopped" if self._stop.is_set() else "done"
        except StoppedError:
            state = "stopped"
        except PandaError as error:
            self.message = str(error)
        except OSError as error:
            log.exception("%s failed", self.what)
            self.message = f"The system refused: {error.strerror}. Look for free space and permissions, then try again."
        except Exception:
            log.exception("%s failed", self.what)
            self.message = "Something is wrong in the program, not in your files. Its terminal shows the details."
        finally:
            self._ended = time.monotonic()
            self.state = state
