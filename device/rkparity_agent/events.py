"""The agent's protocol: one JSON object per line on stdout, the last one a result or an error; see docs/agent.md."""

from __future__ import annotations

import json
import os
from typing import Any, Mapping

USAGE = 2
"""Exit code: the command, the job or a file it names is wrong."""
ENVIRONMENT = 3
"""Exit code: the board, the runtime library, the disk or the data failed."""


class AgentFailure(Exception):
    """An expected failure, sent as the protocol's `error` event.

    `kind` is one word for programs, listed in docs/agent.md; `call` and `code` belong to a failed rknn_* function.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        hint: str = "",
        call: str = "",
        code: int | None = None,
        code_name: str = "",
        exit_code: int = ENVIRONMENT,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.hint = hint
        self.call = call
        self.code = code
        self.code_name = code_name
        self.exit_code = exit_code

    def fields(self) -> dict[str, Any]:
        """The event's fields but "event"."""
        fields: dict[str, Any] = {"kind": self.kind, "message": self.message, "hint": self.hint}
        if self.call:
            fields["call"] = self.call
        if self.code is not None:
            fields["code"] = self.code
            fields["code_name"] = self.code_name
        fields["exit_code"] = self.exit_code
        return fields

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> AgentFailure:
        """The failure an `error` event told of."""
        return cls(
            str(fields["kind"]),
            str(fields["message"]),
            hint=str(fields["hint"]),
            call=str(fields.get("call", "")),
            code=fields.get("code"),
            code_name=str(fields.get("code_name", "")),
            exit_code=int(fields["exit_code"]),
        )


def usage(message: str, hint: str = "") -> AgentFailure:
    """A failure that is the caller's."""
    return AgentFailure("usage", message, hint=hint, exit_code=USAGE)


class EventStream:
    """Writes events to a file descriptor of its own, so that nothing the runtime prints on stdout gets between them."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def emit(self, event: str, fields: Mapping[str, Any]) -> None:
        """Writes one event; raises OSError (EPIPE) when nobody reads any more."""
        line = json.dumps({"event": event, **fields}, allow_nan=False, separators=(",", ":"))
        self.relay(line.encode("utf-8") + b"\n")

    def relay(self, line: bytes) -> None:
        """Writes a line that already is an event."""
        while line:
            line = line[os.write(self._descriptor, line) :]

    def progress(self, stage: str, done: int, total: int) -> None:
        """Says how far a command is: `done` of `total` steps of `stage`."""
        self.emit("progress", {"stage": stage, "done": done, "total": total})

    def log(self, level: str, message: str) -> None:
        """Tells people something ("info" or "warning") that decides nothing."""
        self.emit("log", {"level": level, "message": message})
