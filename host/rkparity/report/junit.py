"""A check's result as JUnit XML: one test case for each stage."""

from __future__ import annotations

import re

# ElementTree is used to write only; nothing is parsed.
from xml.etree.ElementTree import Element, SubElement, tostring

from rkparity.flow.check import CheckReport
from rkparity.flow.result import StageResult, StageVerdict

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(report: CheckReport) -> str:
    """The XML: FAIL is a failure, INCOMPLETE an error, NOT_RUN and NOT_JUDGED are skipped."""
    verdicts = [result.verdict for result in report.results]
    suite = Element(
        "testsuite",
        {
            "name": xml_text(f"rkparity check {report.project}"),
            "tests": str(len(verdicts)),
            "failures": str(verdicts.count(StageVerdict.FAIL)),
            "errors": str(verdicts.count(StageVerdict.INCOMPLETE)),
            "skipped": str(verdicts.count(StageVerdict.NOT_RUN) + verdicts.count(StageVerdict.NOT_JUDGED)),
            "time": f"{report.seconds:.3f}",
        },
    )
    properties = SubElement(suite, "properties")
    for name, version in report.versions.items():
        SubElement(properties, "property", {"name": xml_text(name), "value": xml_text(version)})
    for result in report.results:
        _case(suite, result, report.project)
    root = Element("testsuites")
    root.append(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def xml_text(text: str) -> str:
    """`text` without the characters XML 1.0 cannot hold."""
    return _NOT_XML.sub("?", text)


def _case(suite: Element, result: StageResult, project: str) -> None:
    case = SubElement(
        suite,
        "testcase",
        {"classname": xml_text(f"rkparity.{project}"), "name": result.stage.value, "time": f"{result.seconds:.3f}"},
    )
    details = [*result.facts]
    for finding in result.findings:
        details += [f"{finding.id}: {finding.title}", f"  {finding.cause}", f"  fix: {finding.fix}"]
    details.append(f"next: {result.next_action}")
    text = xml_text("\n".join(details))
    message = xml_text(result.facts[0] if result.facts else result.next_action)
    kinds = {
        StageVerdict.FAIL: "failure",
        StageVerdict.INCOMPLETE: "error",
        StageVerdict.NOT_RUN: "skipped",
        StageVerdict.NOT_JUDGED: "skipped",
    }
    kind = kinds.get(result.verdict)
    if kind is None:
        SubElement(case, "system-out").text = text
        return
    mark = SubElement(case, kind, {"message": message})
    if kind != "skipped":
        mark.text = text
