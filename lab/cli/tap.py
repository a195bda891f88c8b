"""`lab tap`: the wire tap in front of any PostgreSQL server that a person names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.errors import BadInput
from lab.records.moment import NAMES
from lab.records.words import DEFAULT_DELAY_MS, WAYS
from lab.wire.rule import Rule
from lab.wire.standalone import run_tap

ListenFlag = Annotated[
    str, typer.Option("--listen", metavar="127.0.0.1:PORT", help="Where applications connect to; loopback only.")
]
UpstreamFlag = Annotated[str, typer.Option("--upstream", metavar="HOST:PORT", help="The PostgreSQL server behind it.")]
JournalFlag = Annotated[
    Path | None, typer.Option("--journal", metavar="FILE", help="Append the journal as JSON lines, too.")
]
AtFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--at",
        metavar="MOMENT[:OCCURRENCE][+BYTES]",
        help=f"When to act, e.g. commit-acked+0; may be repeated. Moments: {', '.join(NAMES)}.",
    ),
]
WayFlag = Annotated[
    list[str] | None,
    typer.Option("--way", metavar="|".join(WAYS), help="What to do then: one for each --at, or one for all of them."),
]
SidesFlag = Annotated[str, typer.Option("--sides", metavar="both|client|server", help="Who is hit.")]
DelayFlag = Annotated[int, typer.Option("--delay-ms", metavar="MS", help="How long the way delay holds back.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tap")(tap_command)


def tap_command(
    listen: ListenFlag,
    upstream: UpstreamFlag,
    journal: JournalFlag = None,
    at: AtFlag = None,
    way: WayFlag = None,
    sides: SidesFlag = "both",
    delay_ms: DelayFlag = DEFAULT_DELAY_MS,
) -> int:
    """See what an application and its PostgreSQL server say to each other, and cut them off at a moment.

    Says in one line what it will do, then prints the journal as it grows, until Ctrl-C. Statements, rows and passwords
    are not in it.
    """
    run_tap(listen, upstream, journal, _rules(at or [], way or [], sides, delay_ms))
    return 0


def _rules(moments: list[str], ways: list[str], sides: str, delay_ms: int) -> tuple[Rule, ...]:
    """One rule for each moment; raises BadInput when moments and ways do not go together."""
    if bool(moments) != bool(ways) or len(ways) not in (0, 1, len(moments)):
        raise BadInput(
            f"{len(moments)} moments and {len(ways)} ways were given", "give a --way for each --at, or one for all"
        )
    each = ways * len(moments) if len(ways) == 1 else ways
    return tuple(Rule.parse(moment, way, sides, delay_ms=delay_ms) for moment, way in zip(moments, each, strict=True))
