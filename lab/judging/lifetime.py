"""Sessions that end of themselves: after so many requests, after a time, or at random, whatever else happens.

Once a session has served more requests, or is older, than sessions were seen to survive in a run without any fault
(lab/check/probe.py), its end is laid neither to a fault nor to a statement's error.
"""

from __future__ import annotations

from lab.judging.trace import Trace

NS = 1_000_000_000
WORN = "a session ended that may have ended of itself, as this ENGINE's do"


def worn(trace: Trace, session: str, until: int) -> bool:
    """Whether the session may have ended of itself before `until`; False where no look has told how long they last."""
    traits = trace.record.traits
    uses = [call for call in trace.calls if call.session == session and call.begin < until]
    if not uses:
        return False
    if traits.lasts is not None and until - uses[0].begin > traits.lasts * NS:
        return True
    return traits.serves is not None and _served(trace, session, until) > traits.serves


def _served(trace: Trace, session: str, until: int) -> int:
    """How many times it may have been given back: with each request that used it, and with each close() there."""
    times = 0
    for each in trace.requests:
        if each.begin < until and session in each.sessions:
            alias = next(call.alias for call in each.calls if call.session == session)
            times += 1 + sum(call.f == "close" and call.alias == alias for call in each.calls)
    return times
