"""A landing: whether a fault was seen to strike, and by what evidence. A fault not seen to land makes the case void."""

from __future__ import annotations

from msgspec import Struct


class Landing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fault's effect.

    `step` is the index of its inject step, `time` when it was applied and `healed` when it ended, in nanoseconds
    since the start of the run (-1: not). `seen` is when a lazy fault was seen to strike; others strike at `time`.
    `struck` are the sessions that it ended or cut off, `cut` those that healing it ended. `nothing`: it found none.
    """

    kind: str
    step: int
    time: int
    landed: bool
    evidence: str = ""
    healed: int = -1
    seen: int = -1
    struck: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    nothing: bool = False

    @property
    def at(self) -> int:
        """When it struck, as far as is known."""
        return max(self.time, self.seen)
