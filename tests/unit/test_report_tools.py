"""Results for programs: JUnit, Markdown, GitHub."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
from rich.console import Console

from lab.cli.reports import KINDS, chosen_reports, write_reports
from lab.pytest_plugin.items import _named
from lab.records.result import PromiseResult, Result
from lab.records.variant import Variant
from lab.records.verdict import Verdict
from lab.report import github
from lab.report.junit import junit
from lab.report.markdown import code, markdown, plain
from unit.stored import result, stored

EVIL = "a|b <script>`*[x](javascript:y)\n::error::\x00]]>%0A"


def judged(name: str = "mine") -> Result:
    """One of each verdict."""
    broken = {"at COMMIT": Verdict.BROKEN, "idle": Verdict.KEPT}
    promises = {
        "alpha": PromiseResult(
            verdict=Verdict.BROKEN,
            claimed=True,
            cause="omega",
            summary="dead",
            moments=broken,
            evidence=("/s/cases/0001-idle/plan.json", "/s/cases/0002-at-COMMIT/plan.json"),
        ),
        "beta": PromiseResult(verdict=Verdict.BROKEN, claimed=False, summary="a limit", moments=broken),
        "gamma": PromiseResult(verdict=Verdict.UNKNOWN, claimed=True, summary="unseen", moments={"x": Verdict.UNKNOWN}),
        "delta": PromiseResult(verdict=Verdict.NA, claimed=True, summary="nothing is kept"),
    }
    return msgspec.structs.replace(result(Variant(name=name)), promises=promises)


def test_junit_has_a_case_for_each_promise_and_moment() -> None:
    root = ET.fromstring(junit([judged("one"), judged("two")]))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("12", "2", "2")
    assert [suite.get("skipped") for suite in root] == ["1", "1"]
    cases = {(case.get("classname"), case.get("name")): case for case in root.iter("testcase")}
    broken = cases["one.alpha", "at COMMIT"]
    failure = broken.find("failure")
    assert failure is not None
    assert failure.get("message") == "dead"
    assert failure.text == "cause: omega\nlab replay /s/cases/0002-at-COMMIT/plan.json"
    assert broken.findtext("system-out") == "[[ATTACHMENT|/s/cases/0002-at-COMMIT/plan.json]]"
    assert list(cases["one.alpha", "idle"]) == []
    limit = cases["one.beta", "at COMMIT"]
    assert limit.find("failure") is None
    assert [(one.get("name"), one.get("value")) for one in limit.iter("property")] == [("limit", "a limit")]
    assert cases["one.gamma", "x"].find("error") is not None
    assert cases["one.delta", "delta"].find("skipped") is not None


# Attributes by element, as junit-10.xsd of Jenkins' xUnit plugin has them: the strictest schema in use. `properties` in
# a test case is pytest's way, too.
SCHEMA = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname", "id", "package"},
    "testcase": {"name", "time", "classname", "group"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "skipped": {"type", "message"},
    "properties": set(),
    "property": {"name", "value"},
    "system-out": set(),
}


def test_junit_has_no_element_and_no_attribute_that_a_strict_reader_refuses() -> None:
    root = ET.fromstring(junit([judged("one"), judged("two")]))
    for each in root.iter():
        assert set(each.attrib) <= SCHEMA[each.tag], each.tag
    assert {each.tag for each in root.iter()} >= set(SCHEMA) - {"skipped"}
    for suite in root:
        assert {"name", "tests", "failures", "errors"} <= set(suite.attrib)
        assert re.fullmatch(r"\d+\.\d{3}", suite.get("time", ""))


def test_markdown_has_the_table_what_is_broken_and_how_to_see_it_again() -> None:
    text = markdown([judged("one"), judged("two_2")])
    assert "| promise | one | two\\_2 |" in text
    assert "| alpha | ✗ broken | ✗ broken |" in text
    assert "| beta | ○ limit | ○ limit |" in text
    assert "- ✗ broken **alpha**: dead\n  - moments: at COMMIT\n  - `lab replay /s/cases/0001-idle/plan.json`" in text


def test_hostile_texts_are_text_in_all_of_them() -> None:
    evil = judged(EVIL)
    promises = {EVIL: msgspec.structs.replace(evil.promises["alpha"], summary=EVIL, moments={EVIL: Verdict.BROKEN})}
    evil = msgspec.structs.replace(evil, promises=promises)
    assert len(list(ET.fromstring(junit([evil])).iter("testcase"))) == 1
    text = markdown([evil])
    assert "<script>" not in text
    assert "](javascript" not in text
    assert len([line for line in text.splitlines() if line.startswith("|")]) == 3
    (line,) = github.commands([evil])
    assert "\n" not in line
    assert line.count("::error") == 2, "its own, and the text's, which begins no line"
    assert "%250A" in line


@pytest.mark.parametrize("text", ["plain", "a `b` c", "``", "`"])
def test_code_is_code_whatever_is_in_it(text: str) -> None:
    fence = code(text)
    assert text in fence
    assert len(fence) - len(fence.lstrip("`")) == len(fence) - len(fence.rstrip("`")) or text in ("``", "`")


def test_plain_text_stays_readable() -> None:
    assert plain("at COMMIT, answer lost") == "at COMMIT, answer lost"


def test_annotations_are_for_claims_and_the_broken_come_first() -> None:
    assert github.commands([judged()]) == [
        "::error title=mine%3A alpha is broken::dead",
        "::warning title=mine%3A gamma is unknown::unseen",
    ]


def test_summary_stays_below_its_limit_and_says_that_it_is_cut() -> None:
    many = [judged(f"variant{number}") for number in range(100)]
    assert github.summary(many) == markdown(many)
    cut = github.summary(many, 5000)
    assert len(cut.encode()) <= 5000
    assert cut.endswith(github.CUT)


def test_reports_are_files_in_the_store_and_the_steps_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(tmp_path / "store")
    step = tmp_path / "summary.md"
    step.write_text("before\n")
    monkeypatch.setenv(github.VARIABLE, str(step))
    out, errors = Console(record=True, width=200), Console(record=True, width=200)
    asked = chosen_reports("html,junit,github,markdown", KINDS)
    write_reports(asked, [judged()], tmp_path / "store", out, errors)
    report = tmp_path / "store/report"
    assert {path.name for path in report.iterdir()} >= {"index.html", "junit.xml", "report.md"}
    assert step.read_text() == "before\n" + markdown([judged()])
    assert "::error title=mine%3A alpha is broken::dead" in out.export_text()
    assert [line.split(":")[0] for line in errors.export_text().splitlines()] == ["report"] * 3


def test_report_that_cannot_be_written_says_so_and_the_pages_come_all_the_same(tmp_path: Path) -> None:
    stored(tmp_path)
    (tmp_path / "report/junit.xml").mkdir(parents=True)
    errors = Console(record=True, width=300)
    write_reports(frozenset({"html", "junit"}), [judged()], tmp_path, Console(record=True), errors)
    said = errors.export_text().splitlines()
    assert said[0].startswith("no report: cannot write")
    assert (tmp_path / "report/index.html").is_file()


def test_a_failing_test_names_its_first_moments_and_how_many_more() -> None:
    assert _named(["a", "b"]) == "a · b"
    assert _named([f"m{number}" for number in range(15)]).endswith(" · m11 · and 3 more")
