"""Who did what: time runs down, a lane for each actor, the nemesis, each server session, and the server's log."""

from __future__ import annotations

from itertools import groupby

from lab.judging.calls import FOREVER, Call
from lab.report.pages.story import NEMESIS, Life, Row, Story
from lab.report.pages.svg import Drawing
from lab.report.pages.words import milliseconds, shown

HEAD = 34
ROW = 24
PAUSE = 20
CLOCK = 72
NEMESIS_WIDTH = 216
SESSION_WIDTH = 118
LOG_WIDTH = 620
LANES = {1: 344, 2: 312}
"""Width of an actor's lane by their number; three and more are narrower."""
NARROW = 262
STATES = {"idle in transaction": "idle in xact", "idle in transaction (aborted)": "aborted xact"}
"""pg_stat_activity's words where they are too long for a lane."""


class Timeline:
    """One story drawn; the lanes' places are computed first, the shapes then follow from the rows."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._rows = story.rows
        self._drawing = Drawing(
            "timeline",
            "Who did what",
            f"{len(story.calls)} calls of {', '.join(map(shown, story.actors))}, {len(story.record.landings)} faults "
            f"and {len(story.sessions)} server sessions, in the order of time; the same is listed as text below.",
        )
        self._actor_width = LANES.get(len(story.actors), NARROW)
        x = CLOCK
        self._lanes: dict[str, float] = {}
        for actor in story.actors:
            self._lanes[actor] = x
            x += self._actor_width
        self._nemesis = x
        x += NEMESIS_WIDTH if story.record.landings or story.record.events else 0
        self._sessions = {life.id: x + SESSION_WIDTH * place for place, life in enumerate(story.sessions)}
        x += SESSION_WIDTH * len(story.sessions)
        self._log = x
        self._has_log = any(row.kind == "log" for row in self._rows)
        self._right = x + (LOG_WIDTH if self._has_log else 0)
        self._tops = self._places()
        self._bottom = (self._tops[-1] if self._tops else HEAD) + ROW

    def drawing(self) -> Drawing:
        """The whole."""
        self._draw_named()
        self._draw_heads()
        self._draw_faults()
        for life in self._story.sessions:
            self._draw_session(life)
        self._draw_requests()
        self._draw_rows()
        self._drawing.grow(self._right, self._bottom)
        return self._drawing

    # -- places -----------------------------------------------------------------------------------------------------

    def _places(self) -> list[float]:
        """The top of each row."""
        tops: list[float] = []
        y = float(HEAD)
        for row in self._rows:
            y += PAUSE if row.pause else 0
            tops.append(y)
            y += ROW
        return tops

    def _y(self, time: int, *, after: bool = False) -> float:
        """The top of the last row that is not later; with `after`, its bottom."""
        place = -1
        for index, row in enumerate(self._rows):
            if row.time > time:
                break
            place = index
        if place < 0:
            return float(HEAD)
        return self._tops[place] + (ROW if after else 0)

    # -- shapes -----------------------------------------------------------------------------------------------------

    def _draw_named(self) -> None:
        for row, top in zip(self._rows, self._tops, strict=True):
            if row.named:
                self._drawing.rect(0, top, self._right, ROW, "named", radius=0)

    def _draw_heads(self) -> None:
        draw = self._drawing
        draw.text(CLOCK - 10, 20, "time", "head-text", anchor="end")
        for actor, x in self._lanes.items():
            draw.text(x + 8, 20, shown(actor, 30), "head-text", room=self._actor_width - 10)
        if self._nemesis < self._log - SESSION_WIDTH * len(self._sessions):
            draw.text(self._nemesis + 8, 20, "nemesis", "head-text")
        for life in self._story.sessions:
            draw.text(self._sessions[life.id] + 8, 20, f"pid {shown(life.pid, 9)}", "head-text", room=SESSION_WIDTH - 8)
        if self._has_log:
            draw.text(self._log + 10, 20, "the server's log", "head-text")
        draw.line(0, HEAD - 6, self._right, HEAD - 6, "rule")
        for x in (*self._lanes.values(), self._nemesis, *self._sessions.values(), self._log)[1:]:
            draw.line(x, HEAD - 24, x, self._bottom, "lane")

    def _draw_faults(self) -> None:
        for number, landing in enumerate(self._story.record.landings):
            top = self._y(landing.time)
            end = self._y(landing.healed) if landing.healed >= 0 else self._bottom
            height = max(end - top, ROW)
            lasting = height > ROW
            if lasting and landing.landed:
                self._drawing.rect(CLOCK, top, self._right - CLOCK, height, "storm", radius=0)
            x = self._nemesis + 4 + 5 * (number % 4)
            self._drawing.rect(x, top + 2, 5, height - 4, "fault" if landing.landed else "fault void")

    def _draw_session(self, life: Life) -> None:
        x = self._sessions[life.id]
        top = self._y(life.first)
        end = life.struck if life.struck >= 0 else life.last
        bottom = max(self._y(end, after=True), top + ROW)
        self._drawing.rect(x + 8, top + 3, 10, bottom - top - 6, "session")
        for time, state in life.states:
            busy = state.startswith("idle in transaction")
            if busy:
                self._drawing.rect(x + 8, self._y(time) + 3, 10, ROW - 6, "intrans")
        for _, run in groupby(life.states, key=lambda each: each[1]):
            time, state = next(run)
            words = STATES.get(state, state)
            if words:
                self._drawing.text(x + 24, self._y(time) + 16, shown(words, 20), "small", room=SESSION_WIDTH - 22)
        if life.struck >= 0:
            y = bottom - 3
            self._drawing.path([(x + 7, y - 6), (x + 19, y + 6)], "cross")
            self._drawing.path([(x + 19, y - 6), (x + 7, y + 6)], "cross")

    def _draw_requests(self) -> None:
        """A frame around the calls of each request."""
        for actor, x in self._lanes.items():
            requests: dict[int, list[int]] = {}
            for place, row in enumerate(self._rows):
                if row.actor == actor and row.call is not None and row.call.request >= 0:
                    requests.setdefault(row.call.request, []).append(place)
            for places in requests.values():
                top, bottom = self._tops[places[0]], self._tops[places[-1]] + ROW
                self._drawing.rect(x + 3, top + 1, self._actor_width - 7, bottom - top - 2, "request", radius=5)

    def _draw_rows(self) -> None:
        returns = {id(row.call): place for place, row in enumerate(self._rows) if row.kind == "return"}
        draw = self._drawing
        for place, (row, top) in enumerate(zip(self._rows, self._tops, strict=True)):
            if row.pause:
                draw.text(CLOCK - 10, top - 6, f"+{milliseconds(row.pause)}", "small pause", anchor="end")
                draw.line(CLOCK, top - PAUSE / 2, self._right, top - PAUSE / 2, "gap")
            css = "time named-text" if row.named else "time"
            draw.text(CLOCK - 10, top + 16, milliseconds(row.time), css, anchor="end")
            if row.kind == "call" and row.call is not None:
                self._draw_call(row, row.call, top, returns.get(id(row.call), place))
            elif row.kind == "phase":
                draw.text(CLOCK + 8, top + 16, row.text, "small phase")
                draw.line(CLOCK, top + ROW - 2, self._right, top + ROW - 2, "gap")
            elif row.kind == "log":
                draw.text(self._log + 10, top + 16, f"[{row.actor}] {row.text}", "log", room=LOG_WIDTH - 14)
            elif row.kind == "return" and row.call is not None and row.actor in self._lanes:
                draw.text(self._lanes[row.actor] + 20, top + 16, f"{row.step} returns", "small")
            elif row.kind == "blocked":
                self._draw_blocked(row, top, returns)
            elif row.actor == NEMESIS:
                draw.text(self._nemesis + 28, top + 16, row.text, "fault-text", room=NEMESIS_WIDTH - 34)

    def _draw_call(self, row: Row, call: Call, top: float, last: int) -> None:
        x = self._lanes[row.actor]
        height = self._tops[last] + ROW - top
        never = call.end >= FOREVER
        if never:
            height = self._bottom - top
        self._drawing.rect(x + 7, top + 3, 6, height - 6, f"bar {call.ending}")
        long = (call.end - call.begin) / 1e6 if not never else 0.0
        took = f" · {long:.0f} ms" if long >= 1 and call.ending != "skip" else ""
        self._drawing.text(x + 20, top + 16, row.text + took, f"call {call.ending}-text", room=self._actor_width - 28)

    def _draw_blocked(self, row: Row, top: float, returns: dict[int, int]) -> None:
        call = next((each for each in self._story.calls if each.actor == row.actor and each.step == row.step), None)
        if call is None or row.actor not in self._lanes:
            return
        x = self._lanes[row.actor]
        last = returns.get(id(call))
        bottom = self._tops[last] if last is not None else self._bottom
        self._drawing.hatch(x + 7, top + 3, 6, bottom - top - 3)
        self._drawing.text(x + 20, top + 16, row.text, "small", room=self._actor_width - 28)


def draw_timeline(story: Story) -> Drawing:
    """The picture."""
    return Timeline(story).drawing()
