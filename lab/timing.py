"""Every wait that can influence a verdict or the order of steps, in one place.

The lab waits for events, not for time to pass. A wait below is the longest that it looks for an event, or the time for
which nothing must happen before the lab concludes something. A machine that is slower than a wait expects makes it err
in the one way that stands beside it:

    kept           something that broke a promise is not noticed
    broken         a variant is blamed for what the machine did
    void           the run proves nothing, and a check runs it again
    order          another interleaving than the plan's: the run is valid, and shows something else
    evidence       the record says less, e.g. a session is not counted

`LAB_PATIENCE=3` in the environment makes all of them three times as long, for a machine that is slow or busy. Where the
machine's own speed is measured first (`faults/network/_silence.py`), waits follow it without being asked.

Not here: the time that a plan's own steps take (`pg_sleep` in a statement, a toxic's latency, the bound) is part of the
plan; the time for a server to be installed or built decides whether there is a rig at all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Literal, NamedTuple

from lab.errors import BadInput

VARIABLE = "LAB_PATIENCE"
MOST = 100.0
"""No factor is larger: a lab that waits that long for everything has another problem."""

Errs = Literal["kept", "broken", "void", "order", "evidence"]


class Wait(NamedTuple):
    """One wait: `shipped` seconds, for what, which way it errs on a slow machine, and why that can be borne."""

    shipped: float
    awaits: str
    errs: Errs
    bearable: str

    @property
    def seconds(self) -> float:
        """How long it is here: as shipped, times $LAB_PATIENCE. Raises BadInput."""
        return self.shipped * patience()


def patience() -> float:
    """The factor in $LAB_PATIENCE, 1 without it. Raises BadInput for what is no number from 1 to 100."""
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return 1.0
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 1.0 <= factor <= MOST:
        raise BadInput(f"{VARIABLE}={text} is no number from 1 to {MOST:g}", f"unset it, or say {VARIABLE}=3")
    return factor


class Stopwatch:
    """Seconds between looks, of which none counts as more than `longest`.

    A wait that ends by it has looked often enough: a thread that is not let run for a while sees the clock jump, and
    would otherwise conclude from a single look that nothing has happened all the time.
    """

    def __init__(self, longest: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest = longest
        self._clock = clock
        self._last = clock()
        self._counted = 0.0

    def look(self) -> float:
        """Seconds until now."""
        now = self._clock()
        self._counted += min(now - self._last, self._longest)
        self._last = now
        return self._counted


# -- a run: which step waits for what ---------------------------------------------------------------------------------

LOOKS = (0.004, 0.008, 0.016, 0.032, 0.064)
"""Seconds between looks at the server for a step that waits there: first often, then at the last one's distance.

The last one must be longer than a tick of the processor clock (0.01 s): two looks compare how many the subject used.
"""

GRACE = Wait(
    0.15,
    "a step to return, or to use the processor, while a fault lasts; then it counts as waiting inside the client",
    "order",
    "the plan goes on while the step works: its answer is taken in late, and every promise is judged on what happened",
)
CROWD = Wait(
    0.6,
    "the same, while no fault lasts but another request is in flight, whose lock the step may want",
    "order",
    "as for GRACE; it is longer because here the step most often only works",
)
MEET = Wait(
    3.0,
    "an attempt to connect to meet a fault and to come to its end, before GRACE begins",
    "order",
    "the heal then comes before the fault was met: the promise was not at stake, which is unknown and run again",
)
AT_WORK = 4
"""How many times as long either is while a session is active: the step waits for an answer that the server works on."""

SLACK = Wait(
    0.5,
    "a step to return, beyond the bound of the plan, before it is given up and its request counts as hung",
    "broken",
    "a loaded machine delays a step by milliseconds, a run in which the lab was held up is void, and what is broken is "
    "run again before it is reported",
)
BEAT = 0.04
"""Seconds between two beats by which the lab notices that it was held up."""

HELD_UP = Wait(
    0.3,
    "a beat, beyond its time; when it is later the lab itself was not scheduled, and the run is void",
    "void",
    "a run that is void for this is begun again; it takes five busy threads for each processor to delay a beat by more "
    "than 0.1 s. What is shorter cannot use up SLACK, and a `Stopwatch` takes it for one look",
)

# -- a run: what the server is given time for -------------------------------------------------------------------------

FAREWELL = Wait(
    0.03,
    "the server to act on what an ending process has said to it",
    "evidence",
    "a census that is taken too early still counts a session that is about to end; a judge looks at later ones, too",
)
HEARD = Wait(
    2.0,
    "the server to act on what a child process has said on a socket that it shares with its parent",
    "kept",
    "the kernel says that something was said, so this is waited for only where a child has used what is its parent's",
)
CLOSE = Wait(
    0.2,
    "a session to leave the census after its client has closed the connection",
    "broken",
    "judges that count sessions allow for one that is passing, and what is broken is run again",
)
SETTLE = Wait(
    0.5,
    "a session to become idle or to vanish after its request",
    "broken",
    "as for CLOSE: what a server takes milliseconds for has half a second",
)
OUTLIVE = Wait(
    2.8,
    "the sessions of a process that a fault has ended to end as well",
    "broken",
    "an idle session ends at once, one at work at the server's next look (500 ms in the plans); it is run again",
)
CUT = Wait(
    0.1,
    "sessions to notice that healing a fault has ended their connections",
    "broken",
    "a session that waits for a lock notices nothing, however long it is given; one that is not known to be cut is "
    "asked about again by what its client was told",
)

# -- faults: seen to land ---------------------------------------------------------------------------------------------

LAND = Wait(2.0, "a fault to be seen; for a lazy one, at its heal", "void", "not seen is never green, and is run again")
AWAIT = Wait(10.0, "a lazy fault to be seen where the plan has a step that awaits it", "void", "as for LAND")
KNOCK = Wait(
    1.0,
    "an answer, or the end, of a fresh connection, where there is one in a millisecond",
    "void",
    "before a fault: a line that does not answer in time cannot show a silence; under it: as for LAND",
)
LISTEN = Wait(
    0.2,
    "no answer, while a line is silent; it is 20 times as long as an answer took before, or 8 times as long as one "
    "takes past the line meanwhile, when that is more",
    "kept",
    "a fault that is taken for landed because the machine was slow was applied all the same: the proxy has said so",
)
LISTEN_TIMES = 20
"""How many times as long as an answer took before the fault it must be silent."""
LISTEN_PAST = 8
"""How many times as long as the slowest answer past the line meanwhile: one through it wakes more processes."""

NOISE = Wait(
    0.3,
    "a delay that a busy machine alone may cause once; a fault that adds less must show several times",
    "kept",
    "as for LISTEN",
)
ANSWER_AFTER = Wait(2.0, "a slowed answer, beyond the delay that was asked for", "void", "as for LAND")
FIN = Wait(
    0.1,
    "the end of a session to reach the client, once the session has left the census",
    "order",
    "behind a silent line it never arrives, so the plan cannot wait longer; the client meets the end a step later",
)
LINGER = 5
"""Looks for a session that was ended with FATAL to leave the census, before it counts as one that nobody knew."""

WITNESS = Wait(0.3, "a connection of the lab's own through the line", "void", "without a witness no cut is seen")
ATTEMPT = Wait(3.0, "a session of the lab's own through the line", "void", "what was not tried was not seen")
SYN_LOCAL = Wait(
    0.005,
    "a connection over loopback, which takes a tenth of a millisecond",
    "void",
    "one that is late is no loss unless the kernel has counted a dropped packet: then the look-out looks again",
)
SYN_BRIDGE = Wait(0.1, "a connection over a bridge between containers", "kept", "SYNs must stay unanswered, too")

SERVER_NOTICES = 3.0
"""Seconds in which a server with `lab.judging.loss.SERVER_TIMERS` ends the session of a client that is gone.

The kernel's timers do it, so a slow machine does not prolong it; a plan whose loss was shorter is not judged by it.
"""
CLIENT_NOTICES = 6
"""Seconds in which a client with `lab.judging.loss.TIMERS` does, written into plans: the loss lasts so long."""

# -- the rig: its servers and the subject -----------------------------------------------------------------------------

DELAYED_ACK = Wait(
    0.2,
    "the kernel to send its delayed acknowledgements; until then keepalives do not run",
    "evidence",
    "a cell of the timeout table is longer by this at most, and a loss of packets begins later",
)
READY = Wait(10.0, "a subject to be where a cell of the timeout table begins", "void", "the cell says so")
SOCKET_LOOK = 0.1
"""Seconds between two looks at an idle socket: the timeout table's precision there."""

ANSWER = Wait(3.0, "an answer through the healed line at the end of a plan", "void", "the proxy is replaced")
CLEAR = Wait(5.0, "terminated leftovers of a plan to vanish", "void", "the server is looked after before the next plan")
CALL = Wait(
    2.0,
    "one call to Toxiproxy: a healthy one answers in 1-5 ms, the slowest delete took 63",
    "void",
    "the proxy server is replaced",
)
STOP = Wait(
    5.0,
    "a server, a proxy or a container to stop when it is told to",
    "void",
    "a server that had to be killed instead has not done what the fault says, which then has not landed",
)
CHILD_GRACE = Wait(
    2.0,
    "the children of a killed postmaster to end by themselves before they are killed, too",
    "evidence",
    "their sessions end in either case",
)
RELOAD = Wait(5.0, "PostgreSQL to take in its settings", "void", "the run ends, and the server is looked after")
FREE = Wait(5.0, "connection slots that the lab has held to be free again", "void", "as for RELOAD")
MEMORY_KILL = Wait(30.0, "the kernel to kill a process of a server that is out of memory", "void", "as for RELOAD")
PLUG = Wait(
    10.0,
    "an answer from a container that is back in its network; the kernel asks anew for a neighbour within a second",
    "void",
    "the proxy server is replaced",
)
LOG = Wait(2.0, "the Docker engine to hand over what Toxiproxy has printed", "void", "the proxy server is replaced")

SUBJECT_START = Wait(30.0, "a subject to import its variant", "void", "the check ends with one line that says so")
SUBJECT_FORK = Wait(10.0, "a process for one plan", "void", "the check ends with one line that says so")
SUBJECT_END = Wait(
    2.0,
    "a plan's process to end by itself, and what it has forked",
    "evidence",
    "the record says that it was killed, which no promise is judged by",
)
SUBJECT_REAP = Wait(5.0, "the status of a process that has ended", "void", "the check ends with one line that says so")
