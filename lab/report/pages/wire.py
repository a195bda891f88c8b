"""What crossed the wire: application, tap and server, messages as arrows in order, the cut in red, the lost dashed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.report.pages.story import Story
from lab.report.pages.svg import Drawing
from lab.report.pages.words import milliseconds, shown

CLOCK = 72
APPLICATION, TAP, SERVER = 122, 272, 422
STEP_X = 448
RIGHT = 610
HEAD = 34
ROW = 26
MOST = 150
"""Rows at most: of a long journal those around what the tap did are drawn."""
AROUND = 60


@dataclass
class Arrow:
    """Messages of one kind and direction in a row; `cut` says what the tap did instead of handing one on."""

    time: int
    connection: int
    up: bool
    name: str
    detail: str
    number: int = 1
    dropped: bool = False
    missing: bool = False


@dataclass
class Note:
    """What happened to a connection, or what the tap did to it: then `act` is true."""

    time: int
    connection: int
    text: str
    act: bool = False
    lost: str = ""
    up: bool = True


Item = Arrow | Note

MERGED = ("ParameterStatus", "DataRow", "Authentication", "NoticeResponse")
QUIET = ("connected", "closed", "accept")
ASKING = ("Query", "Sync", "StartupMessage", "Execute")
"""Messages after which the server owes a ReadyForQuery."""
ANSWER = (
    *("RowDescription", "DataRow", "CommandComplete", "ErrorResponse", "NoticeResponse", "ParameterStatus"),
    *("ParseComplete", "BindComplete", "CloseComplete", "NoData", "ParameterDescription"),
)
"""Messages of which an answer is made, before its ReadyForQuery."""
ENDING = ("fin", "rst", "closed")


def items(journal: Sequence[Mapping[str, Any]]) -> list[Item]:
    """The journal as arrows and notes; messages that say nothing by themselves are counted. Never raises."""
    found: list[Item] = []
    asked: dict[int, str] = {}
    for data in journal:
        _answers(data, asked, found)
        kind, time, connection = data.get("kind"), _int(data.get("at_ns")), _int(data.get("connection"))
        if kind == "message":
            arrow = _arrow(data, time, connection)
            last = found[-1] if found else None
            if isinstance(last, Arrow) and arrow.name in MERGED and _like(last, arrow):
                last.number += 1
            elif arrow.name == "ReadyForQuery" and not arrow.dropped:
                _complete(arrow, found)
            else:
                found.append(arrow)
        elif kind == "act":
            found.append(_act(data, time, connection))
        elif kind == "event" and data.get("event") == "accept":
            found.append(Note(time, connection, "the application connects"))
        elif kind == "event" and data.get("event") not in QUIET:
            side = data.get("side")
            words = f"{shown(data.get('event'), 20)}{f' from the {shown(side, 10)}' if side else ''}"
            found.append(Note(time, connection, words))
    return _around(found)


def _answers(data: Mapping[str, Any], asked: dict[int, str], found: list[Item]) -> None:
    """Keep account of what each connection waits for; the answer that has not come when it ends is drawn as lost."""
    connection, name = _int(data.get("connection")), str(data.get("name", ""))
    if data.get("kind") == "message":
        if data.get("direction") == "upstream" and name in ASKING:
            verb = "COMMIT" if "commit-sent" in _moments(data) else shown(data.get("verb", ""), 20)
            asked[connection] = f"{name} {verb}".strip()
        elif name == "ReadyForQuery" and not data.get("dropped"):
            asked.pop(connection, None)
    elif data.get("kind") == "event" and data.get("event") in ENDING and connection in asked:
        question = asked.pop(connection)
        found.append(Arrow(_int(data.get("at_ns")), connection, False, f"no answer to {question}", "", missing=True))


def _complete(ready: Arrow, found: list[Item]) -> None:
    """An answer that came whole is one arrow: what it says at its end, and the transaction state."""
    end = len(found)
    while end and isinstance(last := found[end - 1], Arrow) and last.name in ANSWER and _beside(last, ready):
        end -= 1
    answer = [item for item in found[end:] if isinstance(item, Arrow)]
    said = next((item for item in reversed(answer) if item.name in ("ErrorResponse", "CommandComplete")), None)
    if said is None:
        found.append(ready)
        return
    said.detail = f"{said.detail}, ready {ready.detail}"
    found[end:] = [said]


def _beside(one: Arrow, other: Arrow) -> bool:
    return one.connection == other.connection and not one.up and not one.dropped


def _arrow(data: Mapping[str, Any], time: int, connection: int) -> Arrow:
    name = shown(data.get("name", "?"), 40)
    verb, state, tx = (shown(data.get(key, ""), 20) for key in ("verb", "sqlstate", "tx"))
    moments = _moments(data)
    if "commit-sent" in moments or "commit-acked" in moments:
        verb = "COMMIT"
    shown_tx = f"[{tx}]" if tx and name == "ReadyForQuery" else ""
    detail = " ".join(part for part in (verb, state, shown_tx) if part)
    return Arrow(time, connection, data.get("direction") == "upstream", name, detail, dropped=bool(data.get("dropped")))


def _act(data: Mapping[str, Any], time: int, connection: int) -> Note:
    message = shown(data.get("message", ""), 40)
    passed = _int(data.get("byte"))
    sides = {"both": "", "client": " the client", "server": " the server"}.get(str(data.get("sides")), "")
    text = f"{shown(data.get('way', '?'), 20)}{sides} at {shown(data.get('moment', '?'), 60)}"
    lost = f"{message}, {passed} of its bytes passed" if message else ""
    return Note(time, connection, text, act=True, lost=lost, up=data.get("direction") == "upstream")


def _like(one: Arrow, other: Arrow) -> bool:
    return (one.connection, one.up, one.name, one.detail, one.dropped) == (
        *(other.connection, other.up, other.name, other.detail, other.dropped),
    )


def _around(found: list[Item]) -> list[Item]:
    """All of them, or those around what the tap did first."""
    if len(found) <= MOST:
        return found
    act = next((place for place, item in enumerate(found) if isinstance(item, Note) and item.act), MOST - AROUND)
    start = max(0, min(act - AROUND, len(found) - MOST))
    part = found[start : start + MOST]
    if start:
        part.insert(0, Note(part[0].time, 0, f"{start} messages before this are not drawn"))
    if left := len(found) - start - MOST:
        part.append(Note(part[-1].time, 0, f"{left} messages after this are not drawn"))
    return part


def describe(item: Item) -> str:
    """One row as text."""
    who = f"c{item.connection} " if item.connection else ""
    if isinstance(item, Note):
        return f"{milliseconds(item.time)}  {who}{'the tap: ' if item.act else ''}{item.text}" + (
            f" ({item.lost})" if item.lost else ""
        )
    times = f" ×{item.number}" if item.number > 1 else ""
    way = "application → server" if item.up else "server → application"
    lost = ", which never arrived" if item.dropped else " arrived" if item.missing else ""
    return f"{milliseconds(item.time)}  {who}{way}: {item.name} {item.detail}".rstrip() + times + lost


def wire_acts(story: Story, drawn: Sequence[Item]) -> list[tuple[str, str, str, str, bool]]:
    """What the tap did, a row each: when, to which connection, what, what was lost; if the judge names the step."""
    acts = [item for item in drawn if isinstance(item, Note) and item.act]
    return [
        (
            milliseconds(each.time),
            f"c{each.connection}",
            each.text,
            each.lost or "nothing: between two messages",
            _call_at(story, each.time) in story.named,
        )
        for each in acts
    ]


def draw_wire(story: Story, drawn: Sequence[Item]) -> Drawing:
    """The picture of these items."""
    acts = sum(isinstance(item, Note) and item.act for item in drawn)
    draw = Drawing(
        "wire",
        "What crossed the wire",
        f"{len(drawn)} rows, messages between application, tap and server in order; the tap acted {acts} times.",
    )
    bottom = HEAD + ROW * (len(drawn) + sum(isinstance(item, Note) and bool(item.lost) for item in drawn)) + 6
    for x in (APPLICATION, TAP, SERVER):
        draw.line(x, HEAD - 8, x, bottom, "life")
    for row, css in _named_rows(story, drawn):
        draw.rect(0, row, RIGHT, ROW, css, radius=0)
    for x, name in ((APPLICATION, "application"), (TAP, "tap"), (SERVER, "server")):
        draw.text(x, 18, name, "head-text", anchor="middle")
    y, step = float(HEAD), -1
    several = len({item.connection for item in drawn if item.connection}) > 1
    for item in drawn:
        draw.text(CLOCK - 10, y + 18, milliseconds(item.time), "time", anchor="end")
        call = _call_at(story, item.time)
        if call >= 0 and call != step:
            draw.text(STEP_X, y + 18, _step_text(story, call), "small", room=RIGHT - STEP_X)
        step = call
        who = f"c{item.connection} " if several and item.connection else ""
        if isinstance(item, Note):
            y += _draw_note(draw, item, who, y)
        else:
            _draw_arrow(draw, item, who, y)
        y += ROW
    draw.grow(RIGHT, bottom)
    return draw


def _named_rows(story: Story, drawn: Sequence[Item]) -> list[tuple[float, str]]:
    y, found = float(HEAD), []
    for item in drawn:
        if _call_at(story, item.time) in story.named:
            found.append((y, "named"))
        y += ROW * (2 if isinstance(item, Note) and item.lost else 1)
    return found


def _draw_arrow(draw: Drawing, item: Arrow, who: str, y: float) -> None:
    start, end = (APPLICATION, SERVER) if item.up else (SERVER, APPLICATION)
    commit = "COMMIT" in item.detail and not item.missing
    css = "commit" if commit else "up" if item.up else "down"
    line = y + 21
    if item.missing:
        draw.line(start, line, end, line, "wire lost", arrow=True)
    elif item.dropped:
        draw.line(start, line, TAP, line, f"wire {css}", arrow=True)
        draw.line(TAP, line, end, line, "wire lost")
    else:
        draw.line(start, line, end, line, f"wire {css}", arrow=True)
    times = f" ×{item.number}" if item.number > 1 else ""
    middle = (APPLICATION + SERVER) / 2
    text = f"{who}{item.name} {item.detail}".rstrip() + times
    css = "message cut-text" if item.missing or item.dropped else "message strong" if commit else "message"
    draw.text(middle, y + 16, text, css, anchor="middle", room=SERVER - APPLICATION)


def _draw_note(draw: Drawing, item: Note, who: str, y: float) -> float:
    """Draw it; how much further down than a row it goes."""
    middle = (APPLICATION + SERVER) / 2
    if not item.act:
        draw.text(middle, y + 16, f"{who}{item.text}", "small message", anchor="middle", room=SERVER - APPLICATION)
        return 0.0
    below = 0.0
    if item.lost:
        start, end = (APPLICATION, SERVER) if item.up else (SERVER, APPLICATION)
        draw.text(middle, y + 16, f"{who}{item.lost}", "message cut-text", anchor="middle", room=SERVER - APPLICATION)
        draw.line(start, y + 21, TAP, y + 21, "wire cut", arrow=True)
        draw.line(TAP, y + 21, end, y + 21, "wire lost")
        below = ROW
    y += below
    draw.path([(TAP - 6, y - 11), (TAP + 6, y + 1)], "cross")
    draw.path([(TAP + 6, y - 11), (TAP - 6, y + 1)], "cross")
    draw.text(TAP, y + 17, f"{who}{item.text}", "message cut-text strong", anchor="middle", room=SERVER - 40)
    return below


def _call_at(story: Story, time: int) -> int:
    """The step of the call during which that was, -1 outside of any."""
    inside = [call for call in story.calls if call.begin <= time <= call.end]
    return inside[-1].step if inside else -1


def _step_text(story: Story, step: int) -> str:
    call = next(each for each in story.calls if each.step == step)
    return f"{shown(call.actor, 12)}, step {step}: {call.f}"


def _moments(data: Mapping[str, Any]) -> list[str]:
    found = data.get("moments")
    return [each for each in found if isinstance(each, str)] if isinstance(found, list | tuple) else []


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
