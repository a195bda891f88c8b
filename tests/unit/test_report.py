from __future__ import annotations

import io
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from lab.records.result import PromiseResult, Result, VariantInfo, overall
from lab.records.verdict import Verdict
from lab.report.html import render_html
from lab.report.json import write_json
from lab.report.mark import BROKEN, KEPT, LIMIT, NA, UNKNOWN, Mark, mark
from lab.report.progress import PlainProgress, TerminalProgress
from lab.report.terminal import print_matrix, print_result


def result(name: str) -> Result:
    promises = {
        "recovers": PromiseResult(
            verdict=Verdict.BROKEN,
            claimed=True,
            cause="recovers",
            cases=4,
            summary="mid-query: <b>dead</b> (2 of 2 runs agree)",
            moments={"idle": Verdict.KEPT, "at COMMIT, answer lost": Verdict.BROKEN},
            evidence=(f"/store/{name}/cases/0001/plan.json",),
        ),
        "durable": PromiseResult(
            verdict=Verdict.BROKEN, claimed=False, cause="recovers", moments={"x": Verdict.BROKEN}
        ),
        "reuses": PromiseResult(verdict=Verdict.NA, claimed=True, summary="nothing is kept"),
    }
    return Result(
        verdict=overall(promises),
        variant=VariantInfo(name=name, engine="my.engine", driver="psycopg2"),
        versions={"django": "5.2", "psycopg2": "2.9"},
        seed=7,
        seconds=1.5,
        cases=9,
        void=1,
        promises=promises,
    )


def console(width: int = 200) -> Console:
    return Console(file=io.StringIO(), width=width)


def text(out: Console) -> str:
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


@pytest.mark.parametrize(
    ("verdict", "claimed", "expected"),
    [
        (Verdict.BROKEN, True, BROKEN),
        (Verdict.BROKEN, False, LIMIT),
        (Verdict.KEPT, False, KEPT),
        (Verdict.UNKNOWN, True, UNKNOWN),
        (Verdict.NA, True, NA),
    ],
)
def test_mark_tells_a_broken_claim_from_a_documented_limit(verdict: Verdict, claimed: bool, expected: Mark) -> None:
    assert mark(PromiseResult(verdict=verdict, claimed=claimed)) is expected


def test_check_shows_verdict_moments_and_how_to_see_it_again() -> None:
    out = console()
    print_result(out, result("mine"))
    for part in (
        "mine  (ENGINE my.engine, psycopg2 2.9, Django 5.2, seed 7)",
        "✗ broken",
        "○ limit",
        "at COMMIT, answer lost",
        "lab replay /store/mine/cases/0001/plan.json",
        "mine: broken — 0 of 1 claimed promises kept, 1 documented limits seen, 9 cases, 1 of them void, 1.5 s",
    ):
        assert part in text(out)


def test_replay_command_is_never_folded() -> None:
    out = console(width=30)
    print_result(out, result("mine"))
    assert "lab replay /store/mine/cases/0001/plan.json\n" in text(out)


def test_matrix_has_a_column_each_a_legend_and_the_moments() -> None:
    out = console()
    print_matrix(out, [result("one"), result("two")])
    shown = text(out)
    assert "│ recovers │ ✗ broken │ ✗ broken │" in shown
    assert "a documented limit" in shown
    assert "✗ broken recovers: at COMMIT, answer lost" in shown
    assert "○ limit durable, because of recovers: x" in shown


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_well_formed_and_escapes_what_backends_say() -> None:
    page = render_html([result("one"), result("two")])
    parser = Tags()
    parser.feed(page)
    assert parser.open == []
    assert "<b>dead</b>" not in page
    assert "&lt;b&gt;dead&lt;/b&gt;" in page
    assert "http" not in page, "the page needs nothing else"
    assert 'id="2-recovers" open' in page


def test_json_is_one_object_for_one_variant_and_a_list_for_several(tmp_path: Path) -> None:
    write_json(tmp_path / "one.json", [result("one")])
    write_json(tmp_path / "two.json", [result("one"), result("two")])
    assert json.loads((tmp_path / "one.json").read_text())["variant"]["name"] == "one"
    assert len(json.loads((tmp_path / "two.json").read_text())["variants"]) == 2


def test_plain_progress_says_what_is_new_and_no_more() -> None:
    out = io.StringIO()
    with PlainProgress(Console(file=out, width=200)) as progress:
        progress.planned("mine", 30)
        progress.planned("mine", 1)
        progress.done("mine", "recovers: idle", ("recovers",), "")
        progress.done("mine", "recovers: busy", ("recovers",), "void 1 of 2")
    assert out.getvalue().splitlines() == [
        "mine: 30 plans",
        "mine: recovers is broken (recovers: idle)",
        "mine: recovers: busy: void 1 of 2",
    ]


def test_terminal_progress_survives_brackets() -> None:
    out = Console(file=io.StringIO(), width=100, force_terminal=True)
    with TerminalProgress(out) as progress:
        progress.planned("proj[default]", 1)
        progress.done("proj[default]", "a [/] title", (), "")
        progress.say("a [/line]")
