"""`query`: all attributes of a model, as librknnrt reports them."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from rkparity_agent.events import EventStream
from rkparity_agent.inference import describe
from rkparity_agent.libraries import choose_library
from rkparity_agent.runtime_log import RuntimeLog
from rkparity_agent.session import Session
from rkparity_agent.worker import run_in_child


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("--model", required=True, metavar="FILE", help="the .rknn file")
    parser.add_argument("--library", metavar="FILE", help="librknnrt.so to use (default: found as selfcheck says)")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="give up after this time")


def run(arguments: argparse.Namespace, events: EventStream) -> dict[str, Any]:
    """Queries the model in a child process; returns the result's fields, raises AgentFailure."""
    library = choose_library(arguments.library)
    with tempfile.TemporaryDirectory(prefix="rkparity-") as scratch:
        log = Path(scratch) / "runtime.log"

        def work(child: EventStream) -> dict[str, Any]:
            child.progress("init", 0, 1)
            os.environ.pop("RKNN_LOG_LEVEL", None)
            with Session(library, arguments.model) as session:
                return describe(session)

        try:
            return run_in_child(work, events, log, arguments.timeout)
        finally:
            for message in RuntimeLog.read(log).to_json():
                events.log("warning", f"runtime log: {message['message']}")
