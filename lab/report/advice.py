"""Advice on a terminal: the diff to paste, what each promise was before and is after, and how to see both."""

from __future__ import annotations

import difflib
import pprint
import re
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.records.advice import Advice, Cost, Mended
from lab.records.verdict import Verdict
from lab.report.terminal import short

IMPORTED = re.compile(r'"import:[\w.]*\.(\w+)"')
"""A function, which is pasted before DATABASES."""

STYLES = {"-": "red", "+": "green"}


def print_advice(out: Console, advice: Advice) -> None:
    """All of it."""
    line(out, sentence(advice), "bold")
    if not advice.promises:
        return
    if advice.changes:
        out.print()
        for added in (each.code for each in advice.tried if each.code and each.id in advice.changes):
            for each in added.splitlines():
                line(out, f"+{each}", STYLES["+"])
            out.print()
        for each in diff(advice):
            line(out, each, STYLES.get(each[:1], ""))
        out.print()
        _print_changes(out, advice)
    out.print(_table(advice))
    _print_plans(out, advice)
    _print_otherwise(out, advice)
    _print_left(out, advice)


def sentence(advice: Advice) -> str:
    """The sum, in one line."""
    broken = advice.promises
    if not broken:
        return f"{advice.variant}: nothing is broken, so there is nothing to change"
    moments = [mended for promise in broken.values() for mended in promise.moments]
    mended = sum(each.mended for each in moments)
    if not mended:
        return f"{advice.variant}: no setting that was tried mends any of the {len(moments)} broken moments"
    whole = [name for name, promise in broken.items() if all(each.mended for each in promise.moments)]
    all_of = f", all of {', '.join(whole)}" if whole else ""
    return (
        f"{advice.variant}: {mended} of {len(moments)} broken moments are mended by these settings{all_of}; "
        "nothing that is kept breaks"
    )


def diff(advice: Advice) -> list[str]:
    """The lines of a unified diff of DATABASES, without its head."""
    before, after = (_source(advice.alias, each) for each in (advice.before, advice.after))
    return list(difflib.unified_diff(before, after, n=100, lineterm=""))[3:]


def _source(alias: str, database: Mapping[str, Any]) -> list[str]:
    lines = ["DATABASES = {", f'    "{alias}": {{', "        # ENGINE, NAME, HOST … as they are"]
    for key, value in sorted(database.items(), key=lambda item: item[0] == "OPTIONS"):
        if key == "OPTIONS":
            lines.append('        "OPTIONS": {')
            lines += [f'            "{name}": {_value(each)},' for name, each in value.items()]
            lines.append("        },")
        else:
            lines.append(f'        "{key}": {_value(value)},')
    return [*lines, "    },", "}"]


def _value(value: Any) -> str:
    return IMPORTED.sub(r"\1", pprint.pformat(value, width=1000, sort_dicts=False).replace("'", '"'))


def _print_changes(out: Console, advice: Advice) -> None:
    for each in advice.tried:
        if each.id in advice.changes:
            line(out, f"{each.id}: {each.does}", "bold")
            line(out, f"  costs {each.costs}; {each.source}", "dim")
    for scaled in advice.proven_with:
        line(out, f"  proven with a shorter value: {scaled}", "dim")
    if advice.cost is not None:
        line(out, f"measured: {_cost(advice.cost)}")
    for name, harm in advice.dropped.items():
        line(out, f"not advised: {name} breaks {harm}")


def _cost(cost: Cost) -> str:
    """What is said of a difference that not all rounds have shown is that it is none."""
    where = f"for a request of one query ({cost.requests} in turns, through the lab's proxy on this machine)"
    if not cost.shows:
        return f"no difference that stands out of the noise, {cost.least:+.2f} to {cost.most:+.2f} ms {where}"
    return f"{cost.before:.2f} -> {cost.after:.2f} ms {where}, {cost.least:+.2f} to {cost.most:+.2f}"


def _table(advice: Advice) -> Table:
    table = Table(box=box.ROUNDED, show_lines=True)
    for title in ("promise", "before", "after", "by"):
        table.add_column(title)
    for name, promise in advice.promises.items():
        groups: dict[tuple[str, str], list[Mended]] = {}
        for each in promise.moments:
            groups.setdefault((_after(each), " + ".join(each.changes)), []).append(each)
        for number, ((after, by), moments) in enumerate(groups.items()):
            label = Text(name if not number else "")
            if not promise.claimed and not number:
                label.append("\nnot claimed", "dim")
            table.add_row(
                label,
                Text("✗ " + " · ".join(each.moment for each in moments), "red"),
                Text(after, "green" if moments[0].mended else "red"),
                by or "–",
            )
    return table


def _after(mended: Mended) -> str:
    if not mended.mended:
        return "✗ broken"
    word = "✓ kept" if mended.after is Verdict.KEPT else "✓ cannot happen any more"
    return f"{word} ({mended.runs})" if mended.after is Verdict.KEPT else word


def _print_plans(out: Console, advice: Advice) -> None:
    for name, promise in advice.promises.items():
        shown = next((each for each in promise.moments if each.mended and each.after is Verdict.KEPT), None)
        if shown is not None:
            line(out, f"{name}, {shown.moment}: before and after")
            line(out, f"  lab replay {short(shown.plan)}")
            line(out, f"  lab replay {short(shown.plan)} {' '.join(shown.proof)}")


def _print_otherwise(out: Console, advice: Advice) -> None:
    """Sets of changes that mend more, and give something up."""
    for key, lost in advice.gives_up.items():
        mends = [
            f"{name} ({len(moments)} moments)"
            for name, promise in advice.promises.items()
            if (moments := [each for each in promise.moments if "+".join(each.otherwise) == key])
        ]
        line(out, f"{key} would mend {', '.join(mends)} too, and gives up {', '.join(lost)}")
        if cost := advice.otherwise_cost.get(key):
            line(out, f"  {_cost(cost)}", "dim")


def _print_left(out: Console, advice: Advice) -> None:
    """What no setting keeps."""
    for name, promise in advice.promises.items():
        left = [each for each in promise.moments if not each.mended and not each.otherwise]
        if left:
            where = " · ".join(each.moment for each in left)
            engines = list(dict.fromkeys(engine for each in left for engine in each.backends))
            keeps = [
                f"{engine} keeps {sum(engine in each.backends for each in left)} of these {len(left)}"
                for engine in engines
            ]
            line(out, f"no setting of Django keeps {name} at {where}; {', '.join(keeps) or 'no bundled ENGINE does'}")
        if promise.untried:
            line(out, f"  {name}: {promise.untried} more broken moments were not tried", "dim")


def line(out: Console, text: str, style: str = "") -> None:
    """One line, however long."""
    out.print(Text(text, style), soft_wrap=True)
