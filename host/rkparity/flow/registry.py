"""The stages in their order. Each module has `run(context) -> StageResult` and `settings(context) -> dict`.

`settings` gives what the stage's result depends on beyond the project's own file and the files it names: JSON values.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol, cast

from rkparity.flow.result import Stage, StageResult

if TYPE_CHECKING:
    from rkparity.flow.context import Context

MODULES = {
    Stage.FP16: "rkparity.flow.fp16.stage",
    Stage.QUANTIZED: "rkparity.flow.quantized.stage",
    Stage.CONNECTED: "rkparity.flow.connected.stage",
    Stage.RUNTIME: "rkparity.flow.runtime.stage",
}
ORDER = tuple(MODULES)


class StageModule(Protocol):
    """What each module named in MODULES offers."""

    def settings(self, context: Context) -> dict[str, Any]:
        """JSON values the result depends on: versions, files' digests, options."""

    def run(self, context: Context) -> StageResult:
        """Does the stage; expected failures are raised as RkparityError."""


def module_of(stage: Stage) -> StageModule:
    """The stage's module, imported now."""
    return cast(StageModule, importlib.import_module(MODULES[stage]))
