"""The toxics of Toxiproxy, typed and checked.

The server accepts values that later kill it (docs/toxiproxy.md) and ignores names that it does not know:
a toxic that exists here is one that it survives.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

from lab.errors import BadInput
from lab.records.words import Direction

STREAMS: tuple[Direction, ...] = ("upstream", "downstream")
"""Client to server, server to client."""

FOREVER_MS = 24 * 3600 * 1000
"""A delay that outlasts every plan."""


@dataclass(frozen=True)
class Toxic:
    """What all toxics have. `toxicity` is 0 or 1: the server's generator cannot be seeded, so it may not choose."""

    kind: ClassVar[str]
    wire: ClassVar[dict[str, str]]
    """Our field (unit as suffix) -> Toxiproxy's attribute."""
    toxicity: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise BadInput(f"toxic {self.kind}: {name} must be a whole number from 0 up, not {value!r}")

    def attributes(self) -> dict[str, int]:
        """The attributes as Toxiproxy calls them."""
        return {self.wire[name]: value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Latency(Toxic):
    """Every chunk comes `latency_ms` later, plus or minus up to `jitter_ms`; a bare FIN is not delayed."""

    kind: ClassVar[str] = "latency"
    wire: ClassVar[dict[str, str]] = {"latency_ms": "latency", "jitter_ms": "jitter"}
    latency_ms: int
    jitter_ms: int = 0


@dataclass(frozen=True)
class Bandwidth(Toxic):
    """At most `rate_kbps` KB per second and connection; 0 is a stall without loss."""

    kind: ClassVar[str] = "bandwidth"
    wire: ClassVar[dict[str, str]] = {"rate_kbps": "rate"}
    rate_kbps: int


@dataclass(frozen=True)
class LimitData(Toxic):
    """Passes exactly `limit_bytes` of each connection, then closes it (0: at the first chunk)."""

    kind: ClassVar[str] = "limit_data"
    wire: ClassVar[dict[str, str]] = {"limit_bytes": "bytes"}
    limit_bytes: int


@dataclass(frozen=True)
class Timeout(Toxic):
    """Drops all data; closes after `timeout_ms` without a chunk, never when 0."""

    kind: ClassVar[str] = "timeout"
    wire: ClassVar[dict[str, str]] = {"timeout_ms": "timeout"}
    timeout_ms: int = 0


@dataclass(frozen=True)
class SlowClose(Toxic):
    """Passes the end of the stream on `delay_ms` late."""

    kind: ClassVar[str] = "slow_close"
    wire: ClassVar[dict[str, str]] = {"delay_ms": "delay"}
    delay_ms: int = FOREVER_MS


@dataclass(frozen=True)
class Slicer(Toxic):
    """Splits what is sent into pieces of `average_size` bytes, give or take `size_variation`.

    `delay_us` microseconds pass between them.
    """

    kind: ClassVar[str] = "slicer"
    wire: ClassVar[dict[str, str]] = {
        "average_size": "average_size",
        "size_variation": "size_variation",
        "delay_us": "delay",
    }
    average_size: int
    size_variation: int = 0
    delay_us: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        # Anything else overflows the server's stack or its slices, and it dies.
        if self.average_size < 1 or self.size_variation >= self.average_size:
            sizes = f"{self.size_variation}, {self.average_size}"
            raise BadInput(f"toxic slicer: needs 0 <= size_variation < average_size, not {sizes}")


@dataclass(frozen=True)
class ResetPeer(Toxic):
    """Connections opened after it end with RST, `timeout_ms` after their first chunk."""

    kind: ClassVar[str] = "reset_peer"
    wire: ClassVar[dict[str, str]] = {"timeout_ms": "timeout"}
    timeout_ms: int = 0


@dataclass(frozen=True)
class Armed(ResetPeer):
    """Connections opened after it pass everything, and whatever closes them closes with RST.

    A reset_peer that never runs (toxicity 0) still sets linger 0 on both sockets.
    """

    toxicity: ClassVar[float] = 0.0


@dataclass(frozen=True)
class Installed:
    """A toxic in its place in one direction of a proxy."""

    toxic: Toxic
    stream: Direction

    def __post_init__(self) -> None:
        if self.stream not in STREAMS:
            raise BadInput(f"toxic {self.toxic.kind}: stream must be one of {', '.join(STREAMS)}, not {self.stream!r}")
