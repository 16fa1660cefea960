"""What a stage of the troubleshooting order says: verdict, three facts, next action, findings, tables, cost."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from rkparity.errors import DataError, ExitCode
from rkparity.findings.finding import Finding

Cell = Union[str, float, int, bool, None]
MAX_FACTS = 3


class Stage(str, enum.Enum):
    """The four steps of the troubleshooting order (RKNN manual 7): each is the precondition of the next."""

    FP16 = "fp16"
    QUANTIZED = "quantized"
    CONNECTED = "connected"
    RUNTIME = "runtime"


class StageVerdict(str, enum.Enum):
    """What a stage came to."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    WARN = "warn"
    FAIL = "fail"
    INCOMPLETE = "incomplete"
    """Something it needs failed or was missing; nothing is known to be wrong."""
    NOT_JUDGED = "not judged"
    """It ran, but an earlier stage fails, so its result means nothing by itself."""
    NOT_RUN = "not run"
    """Not asked for, nothing to run it with, or an earlier stage fails."""

    @property
    def exit_code(self) -> ExitCode:
        """What this verdict alone gives to the shell."""
        if self is StageVerdict.FAIL:
            return ExitCode.DIVERGENCE
        return ExitCode.ENVIRONMENT if self is StageVerdict.INCOMPLETE else ExitCode.PASS


@dataclass(frozen=True)
class Table:
    """Figures for people and programs: column names and rows of texts, numbers, booleans and None.

    Numbers that are not finite are kept; in JSON they become the texts "nan", "inf", "-inf".
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class StageResult:
    """One stage's answer.

    `facts` are the most useful ones, three at most, the most important first. `next_action` is one sentence saying what
    to do now. `artefacts` map a short name to a path relative to the project's output folder. `disk_nbytes` is what
    the stage keeps on disk. `reused` is true when nothing had changed and an earlier result was taken.
    """

    stage: Stage
    verdict: StageVerdict
    facts: tuple[str, ...]
    next_action: str
    findings: tuple[Finding, ...] = ()
    figures: tuple[Table, ...] = ()
    artefacts: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    disk_nbytes: int = 0
    reused: bool = False

    def __post_init__(self) -> None:
        if len(self.facts) > MAX_FACTS:
            raise ValueError(f"a stage gives {MAX_FACTS} facts at most, not {len(self.facts)}")

    def to_json(self) -> dict[str, Any]:
        """The result as plain JSON values."""
        return {
            "stage": self.stage.value,
            "verdict": self.verdict.value,
            "facts": list(self.facts),
            "next_action": self.next_action,
            "findings": [finding.to_json() for finding in self.findings],
            "figures": [
                {
                    "title": table.title,
                    "columns": list(table.columns),
                    "rows": [[_cell(cell) for cell in row] for row in table.rows],
                }
                for table in self.figures
            ],
            "artefacts": dict(self.artefacts),
            "seconds": round(self.seconds, 3),
            "disk_nbytes": self.disk_nbytes,
            "reused": self.reused,
        }

    @classmethod
    def from_json(cls, value: Any, *, source: str) -> StageResult:
        """Reads what `to_json` wrote; DataError naming `source` when it is something else."""
        try:
            return cls(
                Stage(value["stage"]),
                StageVerdict(value["verdict"]),
                tuple(str(fact) for fact in value["facts"]),
                str(value["next_action"]),
                tuple(Finding.from_json(item) for item in value["findings"]),
                tuple(
                    Table(item["title"], tuple(item["columns"]), tuple(tuple(row) for row in item["rows"]))
                    for item in value["figures"]
                ),
                {str(name): str(path) for name, path in value["artefacts"].items()},
                float(value["seconds"]),
                int(value["disk_nbytes"]),
                bool(value["reused"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"{source}: is not a stage's result: {error!r}", hint="run `rkparity check --fresh`"
            ) from error


def _cell(cell: Cell) -> Cell:
    if isinstance(cell, float) and not math.isfinite(cell):
        return "nan" if math.isnan(cell) else ("inf" if cell > 0 else "-inf")
    return cell
