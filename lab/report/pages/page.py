"""The pages as text: what the store's files say, set into templates that escape whatever they are given."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from lab.explore.timeouts.table import TimeoutTable
from lab.records.difference import VERSIONS, Versions
from lab.records.own_test import OwnTest
from lab.records.record import LineKind
from lab.records.verdict import Verdict
from lab.report.pages import words
from lab.report.pages.census import counted, draw_census, occasion
from lab.report.pages.orders import draw_order
from lab.report.pages.own import own_page
from lab.report.pages.render import render
from lab.report.pages.shelf import DAMAGED, CaseEntry, CheckEntry, Shelf, TableEntry, damage
from lab.report.pages.silence import describe, draw_silence
from lab.report.pages.story import MEANT, SIGNS, Story
from lab.report.pages.tables import MEANINGS, CutsTable, OrdersTable, column_letters, read_table
from lab.report.pages.timeline import draw_timeline
from lab.report.pages.versions import versions_lines, versions_page
from lab.report.pages.wire import describe as describe_message
from lab.report.pages.wire import draw_wire, items, wire_acts
from lab.report.terminal import promise_names
from lab.report.versions import differences

WAYS: dict[LineKind, str] = {
    "proxy": "through a proxy of its own",
    "tap": "through the wire tap and a proxy of its own",
    "direct": "without a proxy: nothing in the plan strikes its line",
}
"""How a run's subject got to the server."""
MOST_CASES = 400
"""Cases that a check's page lists at most: a page stays small. Those that its verdicts name come first."""
CHECKS = 100
"""Earlier checks that the index lists at most."""


def index_page(shelf: Shelf, *, live: bool = False) -> str:
    """Promise x variant, of each variant the check that ended last; then the explorations and every other check."""
    newest = shelf.newest
    results = [check.result for check in newest if check.result is not None]
    columns = list(zip(newest, _columns(newest), strict=True))
    others = [check for check in shelf.checks if check not in newest]
    return render(
        "index.html",
        up="",
        live=live and any(check.running for check in shelf.checks),
        columns=columns,
        promises=promise_names(results),
        running=[check for check in others if check.result is None],
        others=[check for check in others if check.result is not None][:CHECKS],
        further=max(len(others) - CHECKS, 0),
        tables=shelf.tables,
        versions=_newest_versions(shelf.tables),
        differing=_differing(newest),
    )


def _newest_versions(tables: Sequence[TableEntry]) -> tuple[TableEntry, list[str]] | None:
    """Of the matrices over versions the one that was made last, and in a line each what differs in it."""
    there = [entry for entry in tables if entry.kind == VERSIONS and not entry.damage]
    for entry in sorted(there, key=lambda one: one.folder.name, reverse=True):
        try:
            table = read_table(entry.document)
        except DAMAGED:
            continue  # its own page says so
        if isinstance(table, Versions):
            return entry, versions_lines(table)
    return None


def check_page(check: CheckEntry, *, live: bool = False) -> str:
    """One check: each promise with its moments and the cases that show them, what ran, and all stored cases."""
    result = check.result
    evidence: dict[str, list[CaseEntry]] = {}
    named: dict[str, CaseEntry] = {}
    for name, promise in result.promises.items() if result else ():
        found = [case for path in promise.evidence if (case := check.case_of(path)) is not None]
        evidence[name] = found
        named.update((case.name, case) for case in found)
    strip, strip_damage = _strip(check)
    listed = [*named.values(), *(case for case in check.cases if case.name not in named)]
    return render(
        "check.html",
        up="../../",
        live=live and check.running,
        check=check,
        result=result,
        evidence=evidence,
        cases=listed[:MOST_CASES],
        further=max(len(listed) - MOST_CASES, 0),
        settings=words.settings(result.variant.settings) if result else {},
        options=words.settings(result.variant.options) if result else {},
        table=strip,
        meanings=MEANINGS,
        strip_damage=strip_damage,
        rows=column_letters(strip) if strip else [],
        letters={each.letter: check.case_of(each.evidence) for each in strip.classes} if strip else {},
    )


def _strip(check: CheckEntry) -> tuple[CutsTable | None, str]:
    """The strips of the request that the check has cut, and why they cannot be read."""
    try:
        table = read_table(check.strip)
    except DAMAGED as error:
        return None, damage(error)
    return (table, "") if isinstance(table, CutsTable) else (None, "")


def table_page(entry: TableEntry) -> str:
    """One exploration. Raises msgspec.ValidationError when its table does not fit."""
    table = read_table(entry.document) if not entry.damage else None
    if isinstance(table, OwnTest):
        return own_page(table, entry.folder.name)
    if isinstance(table, Versions):
        return versions_page(table, entry)
    letters = {each.letter: entry.case_of(each.evidence) for each in getattr(table, "classes", ())}
    context: dict[str, Any] = {"entry": entry, "table": table, "letters": letters, "meanings": MEANINGS}
    if isinstance(table, CutsTable):
        return render("cuts.html", up="../../", live=False, rows=column_letters(table), **context)
    if isinstance(table, OrdersTable):
        pictures = {
            each.letter: draw_order(f"order{number}", table.requests, orders[0]).markup()
            for number, each in enumerate(table.classes)
            if (orders := table.orders_by_class.get(each.letter))
        }
        return render("orders.html", up="../../", live=False, pictures=pictures, **context)
    if isinstance(table, TimeoutTable):
        charts = [
            (row, words.settings(row.options), _bars(table, number, row.name), describe(table, row.name))
            for number, row in enumerate(table.rows)
        ]
        holes: dict[tuple[str, str], list[str]] = {}
        for hole in table.holes:
            holes.setdefault((hole.situation, hole.remedy), []).append(hole.loss)
        return render("timeouts.html", up="../../", live=False, charts=charts, holes=holes, **context)
    return render("examples.html", up="../../", live=False, **context)


def case_page(entry: CaseEntry, check: CheckEntry | TableEntry | None = None) -> str:
    """One case, all of it; raises one of shelf.DAMAGED when its files cannot be read."""
    record, findings, log = entry.read()
    story = Story(record, findings, log)
    plan = record.plan
    drawn = items(record.journal)
    census = draw_census(story)
    return render(
        "case.html",
        up="../../" if check else "",
        live=False,
        entry=entry,
        check=check,
        story=story,
        record=record,
        plan=plan,
        variant=plan.variant,
        broken=story.broken,
        kept=[each for each in findings if each.verdict is Verdict.KEPT],
        quiet=[each for each in findings if each.verdict in (Verdict.UNKNOWN, Verdict.NA)],
        timeline=draw_timeline(story).markup(),
        wire=draw_wire(story, drawn).markup() if drawn else "",
        messages=[describe_message(item) for item in drawn],
        acts=wire_acts(story, drawn),
        census=census.markup() if census else "",
        counts=[(each, occasion(each), counted(each)) for each in sorted(record.census, key=lambda one: one.time)[:60]],
        signs=[(SIGNS[ending], ending, MEANT[ending]) for ending in ("ok", "fail", "info", "skip")],
        commands=_commands(entry, story),
        way=WAYS[record.line],
        settings=words.settings(plan.variant.settings),
        options=words.settings(plan.variant.options),
        versions={**record.versions, **record.traits.versions},
    )


def _bars(table: TimeoutTable, number: int, settings: str) -> Markup:
    return draw_silence(f"silence{number}", table, settings).markup()


def nothing_page(why: str) -> str:
    """In place of an index where there is nothing yet."""
    return render("unreadable.html", up="", live=True, name="Nothing yet", why=why)


def unreadable_page(name: str, why: str) -> str:
    """In place of a page whose files cannot be read."""
    return render("unreadable.html", up="../../", live=False, name=name, why=why)


def _commands(entry: CaseEntry, story: Story) -> list[tuple[str, str]]:
    """How to see it again and how to make it smaller, to be copied into a shell."""
    path = shlex.quote(words.shown(short(entry.folder / "plan.json"), 1000))
    commands = [("See it again", f"lab replay {path}")]
    if story.broken:
        commands.append(("Make it smaller", f"lab shrink {path}"))
    return commands


def short(path: Path) -> str:
    """A path as one would type it here: relative where that is shorter."""
    return min(os.path.relpath(path), str(path), key=len)


def _columns(newest: Sequence[CheckEntry]) -> list[str]:
    """Each variant's name, with the server's version where it was checked on several."""
    names = [check.name for check in newest]
    return [
        f"{name}, PostgreSQL {check.result.versions.get('postgresql', '?')}"
        if check.result and names.count(name) > 1
        else name
        for name, check in zip(names, newest, strict=True)
    ]


def _differing(newest: Sequence[CheckEntry]) -> list[str]:
    """Where the versions on which a variant was checked disagree."""
    by_name: dict[str, dict[str, Any]] = {}
    for check in newest:
        if check.result is not None:
            by_name.setdefault(check.name, {})[check.result.versions.get("postgresql", "?")] = check.result
    return [line for found in by_name.values() if len(found) > 1 for line in differences(found)]
