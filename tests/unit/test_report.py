from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from lab.records.result import PromiseResult, Result, VariantInfo, overall
from lab.records.variant import Variant
from lab.records.verdict import Verdict
from lab.report.html import render_html
from lab.report.json import write_json
from lab.report.live import LiveMatrix
from lab.report.progress import PlainProgress, TerminalProgress, filling_matrix
from lab.report.terminal import print_matrix, print_result
from lab.report.verdict_mark import BROKEN, KEPT, LIMIT, NA, UNKNOWN, Mark, mark


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
        "mine: broken — 0 of 1 claimed promises kept, 1 documented limit seen, 9 cases, 1 of them void, 1.5 s",
    ):
        assert part in text(out)


@pytest.mark.parametrize(
    ("engine", "limits", "djangos"),
    [
        ("my.engine", ("at COMMIT",), True),
        ("my.engine", ("idle",), False),
        ("my.engine", (), False),
        ("django.db.backends.postgresql", (), True),
    ],
)
def test_what_a_project_breaks_beyond_django_is_not_called_djangos(
    engine: str, limits: tuple[str, ...], djangos: bool
) -> None:
    moments = {"at COMMIT": Verdict.BROKEN, "mid-query": Verdict.KEPT}
    broken = PromiseResult(verdict=Verdict.BROKEN, claimed=False, moments=moments, limits=limits)
    info = VariantInfo(name="shop", engine=engine, driver="psycopg2", project=True)
    out = console()
    print_result(out, msgspec.structs.replace(result("shop"), variant=info, promises={"durable": broken}))
    assert ("limits that Django itself has with such settings: durable" in text(out)) is djangos
    assert ("○ limit" in text(out)) is not djangos
    assert ("╭" in text(out)) is not djangos, "no table without a row"


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


MINE = Variant(name="mine", engine="my.engine", claims=("recovers",))


def test_plain_progress_says_what_is_new_and_no_more() -> None:
    out = io.StringIO()
    broken = {"recovers": Verdict.BROKEN}
    with PlainProgress(Console(file=out, width=200)) as progress:
        progress.begins(MINE, [["recovers"]] * 30, [])
        progress.further(MINE)
        progress.done(MINE, "recovers: a command", broken, {"recovers": False, "atomic": False}, "")
        progress.done(MINE, "recovers: idle", broken, {"recovers": True, "atomic": False}, "")
        progress.done(MINE, "recovers: busy", broken, {"recovers": True}, "void 1 of 2")
    assert out.getvalue().splitlines() == [
        "mine: 30 plans",
        "mine: recovers is a limit (recovers: a command)",
        "mine: atomic is a limit (recovers: a command)",
        "mine: recovers is broken (recovers: idle)",
        "mine: recovers: busy: void 1 of 2",
    ]


def test_terminal_progress_survives_brackets() -> None:
    out = Console(file=io.StringIO(), width=100, force_terminal=True)
    mine = Variant(name="proj[default]", engine="my.engine")
    with TerminalProgress(out) as progress:
        progress.begins(mine, [["recovers"]], [])
        progress.done(mine, "a [/] title", {"recovers": Verdict.KEPT}, {}, "")
        progress.say("a [/line]")


def test_terminal_progress_tells_limits_from_what_is_broken() -> None:
    out = Console(file=io.StringIO(), width=100, force_terminal=True)
    with TerminalProgress(out) as progress:
        progress.begins(MINE, [["recovers"]] * 3, [])
        for broken in ({"recovers": True, "atomic": False}, {"recovers": False}, {"atomic": False}):
            progress.done(MINE, "", {}, broken, "")
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text(out))
    assert "broken so far: recovers (1)" in shown
    assert "limits so far: atomic (2), recovers (1)" in shown


def rows(shown: LiveMatrix) -> dict[str, str]:
    """The rows of the table as it stands: promise -> cells."""
    out = Console(file=io.StringIO(), width=100)
    out.print(shown)
    lines = [line.strip("│ \n").split("│") for line in text(out).splitlines() if line.startswith("│")]
    return {cells[0].strip(): " ".join(cells[1].split()) for cells in lines[1:]}


def test_live_matrix_decides_a_cell_by_the_first_that_breaks_it_or_by_the_last() -> None:
    out = Console(file=io.StringIO(), width=100, force_terminal=True)
    kept, broken = {"recovers": Verdict.KEPT}, {"durable": Verdict.BROKEN}
    with LiveMatrix(out) as shown:
        shown.begins(MINE, [["recovers"], ["recovers", "durable"], ["durable"], ["atomic"]], ["reuses"])
        assert rows(shown) == {"atomic": "0/1", "durable": "0/2", "recovers": "0/2", "reuses": str(NA)}
        shown.done(MINE, "", kept, {}, "")
        assert rows(shown)["recovers"] == "1/2"
        shown.done(MINE, "", {**kept, **broken}, {"durable": False, "atomic": False}, "")
        # "atomic" by a plan that was made for others; "durable" without its second plan.
        assert rows(shown) == {"atomic": str(LIMIT), "durable": str(LIMIT), "recovers": str(KEPT), "reuses": str(NA)}
        shown.done(MINE, "", {"durable": Verdict.NA}, {"recovers": True}, "")
        assert rows(shown)["recovers"] == str(BROKEN)


def test_live_matrix_is_not_decided_by_a_limit_of_what_is_claimed() -> None:
    """It may yet be broken beyond it, or held everywhere else."""
    out = Console(file=io.StringIO(), width=100, force_terminal=True)
    with LiveMatrix(out) as shown:
        shown.begins(MINE, [["recovers"]] * 3, [])
        shown.done(MINE, "", {"recovers": Verdict.BROKEN}, {"recovers": False}, "")
        assert rows(shown) == {"recovers": "1/3"}
        shown.done(MINE, "", {"recovers": Verdict.BROKEN}, {"recovers": True}, "")
        assert rows(shown) == {"recovers": str(BROKEN)}


def test_live_matrix_that_has_no_room_shows_what_is_broken() -> None:
    out = Console(file=io.StringIO(), width=24, height=12, force_terminal=True)
    with LiveMatrix(out) as shown:
        shown.begins(MINE, [[name] for name in "abcde"], [])
        shown.done(MINE, "", {"d": Verdict.BROKEN}, {"d": False}, "")
        small = Console(file=io.StringIO(), width=20, height=12)
        small.print(shown)
    lines = [line for line in text(small).splitlines() if "│" in line]
    assert len(lines) == 4  # the head and what fits
    assert [cell.strip() for cell in lines[0].split("│")[1:3]] == ["promise", "1"]
    assert [cell.strip() for cell in lines[1].split("│")[1:3]] == ["d", LIMIT.sign]
    assert "1 mine" in text(small)


def test_table_fills_where_it_can_be_seen() -> None:
    assert isinstance(filling_matrix(Console(file=io.StringIO(), force_terminal=True)), LiveMatrix)
    assert isinstance(filling_matrix(Console(file=io.StringIO())), PlainProgress)


def test_matrix_says_signs_and_numbers_where_words_have_no_room() -> None:
    out = console(width=30)
    print_matrix(out, [result("django_per_request"), result("django_persistent")])
    shown = text(out)
    assert "1 django_per_request" in " ".join(shown.split())
    assert str(BROKEN) not in shown.split("╯")[0]
    assert BROKEN.sign in shown.split("╯")[0]
