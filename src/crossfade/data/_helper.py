"""A helper: a fresh interpreter that reads chunks of files for us.

It is told the job and all names at once, then where chunks begin and end, as pickles on its standard input. For
each chunk it answers with a pickle of packed bytes on its standard output.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, cast

from crossfade.data._reading import cannot_write, send
from crossfade.errors import CacheError

if TYPE_CHECKING:
    from crossfade.data._crew import Pass

# An empty package in place of crossfade.data, whose own __init__ would load what a helper never needs.
_START = """
import sys, types
package = sys.modules["crossfade.data"] = types.ModuleType("crossfade.data")
package.__path__ = [sys.argv[1]]
sys.path[:] = sys.argv[2:]
from crossfade.data._reading import serve
serve()
"""


class Helper:
    """A helper process, and the thread of ours that hands it chunks and takes what comes back."""

    AHEAD = 2  # chunks a helper has at hand, so that it need not wait for us

    def __init__(self) -> None:
        self.stopping = False
        self.feeding: threading.Thread | None = None
        quiet = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-c", _START, os.path.dirname(__file__), *map(str, sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **quiet},
            start_new_session=True,  # Ctrl-C is for the caller, who then ends us
        )

    def thread(self, work: Pass) -> threading.Thread:
        """The thread, still to be started, in which the helper does its share of a pass."""
        self.feeding = threading.Thread(target=self._feed, args=(work,), name="crossfade-helper")
        return self.feeding

    def stop(self) -> None:
        self.stopping = True
        self.process.kill()
        if self.feeding is not None and self.feeding.ident is not None:
            self.feeding.join()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):  # what was left to send to a helper that is gone
                pipe.close() if pipe is not None else None

    def _feed(self, work: Pass) -> None:
        to, back = self.process.stdin, self.process.stdout
        sent: deque[tuple[int, int]] = deque()
        try:
            send(to, (work.job, work.names))
            while True:
                while len(sent) < self.AHEAD and (chunk := work.next_chunk()) is not None:
                    sent.append(chunk)
                    send(to, chunk)
                if not sent:
                    return
                answer = pickle.load(cast(BinaryIO, back))
                if isinstance(answer, OSError):
                    raise cannot_write(answer)
                work.put(sent.popleft(), answer)
        except (OSError, EOFError, pickle.UnpicklingError):
            self._fail(work, self._died())
        except Exception as error:
            self._fail(work, error)

    def _fail(self, work: Pass, error: Exception) -> None:
        if not self.stopping:
            work.fail(error)

    def _died(self) -> CacheError:
        code = self.process.wait()
        how = f"signal {-code}" if code < 0 else f"exit status {code}"
        return CacheError(
            f"reading: a helper process ended before its work was done. Got {how}; often memory ran out. "
            "Run again, or pass workers=1 to read in one process. Nothing half-made is kept."
        )
