"""Several server versions side by side: what they agree on is one cell, what not is named."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from lab.records.result import PromiseResult, Result, VariantInfo
from lab.records.verdict import Verdict
from lab.report.versions import differences, labelled, print_versions

KEPT, BROKEN, UNKNOWN = Verdict.KEPT, Verdict.BROKEN, Verdict.UNKNOWN


def result(**promises: dict[str, Verdict]) -> Result:
    found = {
        name.replace("_", "-"): PromiseResult(
            verdict=min(moments.values(), key=list(Verdict).index), claimed=True, moments=moments
        )
        for name, moments in promises.items()
    }
    info = VariantInfo(name="mine", engine="mine", driver="psycopg2")
    return Result(verdict=KEPT, variant=info, versions={}, seed=0, seconds=1.0, cases=1, void=0, promises=found)


def printed(**found: Result) -> str:
    out = StringIO()
    print_versions(Console(file=out, width=140), {version.strip("v"): [each] for version, each in found.items()})
    return out.getvalue()


def test_versions_that_agree_are_one_cell() -> None:
    same = result(durable={"COMMIT": KEPT})
    text = printed(v15=same, v16=same)
    assert "✓ kept" in text
    assert "PostgreSQL 15, 16: no verdict differs" in text


def test_versions_that_disagree_are_named_with_the_moment() -> None:
    old, new = result(durable={"COMMIT": KEPT, "idle": KEPT}), result(durable={"COMMIT": BROKEN, "idle": KEPT})
    assert differences({"15": old, "16": old, "17": new}) == ["mine, durable, COMMIT: 15, 16 kept; 17 broken"]
    text = printed(v15=old, v17=new)
    assert "15 ✓ 17 ✗" in text
    assert "what differs" in text


def test_moment_that_only_one_version_has_looked_at_is_no_difference() -> None:
    old, new = result(durable={"COMMIT": BROKEN}), result(durable={"COMMIT": BROKEN, "idle": BROKEN})
    assert differences({"15": old, "18": new}) == []


def test_promise_that_is_broken_at_another_moment_differs_as_a_whole() -> None:
    old, new = result(durable={"COMMIT": KEPT}), result(durable={"idle": UNKNOWN})
    assert differences({"15": old, "18": new}) == ["mine, durable: 15 kept; 18 unknown"]


def test_promise_that_only_one_version_has_leaves_the_other_out() -> None:
    old, new = result(durable={"COMMIT": KEPT}), result(durable={"COMMIT": KEPT}, atomic={"COMMIT": KEPT})
    text = printed(v15=old, v18=new)
    assert "18 ✓" in text


def test_labelled_results_carry_their_version() -> None:
    found = {"15": [result()], "18": [result()]}
    assert [each.variant.name for each in labelled(found)] == ["mine, PostgreSQL 15", "mine, PostgreSQL 18"]
