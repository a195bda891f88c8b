"""Results as JUnit XML, as CI servers read it: one test case for each promise and moment.

A broken claim is a failure, what is unknown an error, what does not apply is skipped. A limit, which is broken but not
claimed, passes with a property `limit`. Evidence is named in `[[ATTACHMENT|path]]` lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from lab.records.result import PromiseResult, Result
from lab.records.verdict import Verdict
from lab.report.pages.words import shown
from lab.store import slug

ATTACHED = 3
"""Plans that one test case names at most."""


def junit(results: Sequence[Result]) -> bytes:
    """The document, a suite for each result."""
    root = ET.Element("testsuites", name="connection-lab")
    for result in results:
        root.append(_suite(result))
    for key in ("tests", "failures", "errors"):  # a strict reader (Jenkins' xUnit) takes no `skipped` here
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    ET.indent(root, " ")
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _suite(result: Result) -> ET.Element:
    suite = ET.Element("testsuite", name=shown(result.variant.name, 120), time=f"{result.seconds:.3f}")
    properties = ET.SubElement(suite, "properties")
    versions = {f"version {name}": number for name, number in result.versions.items()}
    for name, value in {"engine": result.variant.engine, "seed": result.seed, **versions}.items():
        ET.SubElement(properties, "property", name=shown(name, 80), value=shown(value, 200))
    for name, promise in result.promises.items():
        for moment, verdict in (promise.moments or {"": promise.verdict}).items():
            suite.append(_case(result, name, promise, moment, verdict))
    suite.set("tests", str(len(suite.findall("testcase"))))
    for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(len(suite.findall(f"testcase/{tag}"))))
    return suite


def _case(result: Result, name: str, promise: PromiseResult, moment: str, verdict: Verdict) -> ET.Element:
    case = ET.Element(
        "testcase", classname=f"{shown(result.variant.name, 120)}.{shown(name, 80)}", name=shown(moment or name, 160)
    )
    summary = shown(promise.summary)
    plans = _plans(promise, moment) if verdict is Verdict.BROKEN else []
    if verdict is Verdict.BROKEN and promise.claims(moment):
        failure = ET.SubElement(case, "failure", type="broken", message=summary)
        failure.text = "\n".join(
            [f"cause: {shown(promise.cause or name, 80)}", *(f"lab replay {plan}" for plan in plans)]
        )
    elif verdict is Verdict.BROKEN:
        ET.SubElement(ET.SubElement(case, "properties"), "property", name="limit", value=summary)
    elif verdict is Verdict.UNKNOWN:
        ET.SubElement(case, "error", type="unknown", message=summary)
    elif verdict is Verdict.NA:
        ET.SubElement(case, "skipped", message=summary)
    if plans:
        ET.SubElement(case, "system-out").text = "\n".join(f"[[ATTACHMENT|{plan}]]" for plan in plans)
    return case


def _plans(promise: PromiseResult, moment: str) -> list[str]:
    """The plans that show it at this moment, by the names of their folders; else the best there are."""
    own = [path for path in promise.evidence if moment and slug(moment) in Path(path).parent.name]
    return [shown(path, 1000) for path in (own or promise.evidence)[:ATTACHED]]
