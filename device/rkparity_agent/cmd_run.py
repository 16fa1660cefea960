"""`run`: one job on librknnrt, general or zero-copy API, with dumps."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rkparity_agent.dumps import listing
from rkparity_agent.events import AgentFailure, EventStream, usage
from rkparity_agent.folders import make_fresh
from rkparity_agent.inference import run_job
from rkparity_agent.job import Job
from rkparity_agent.libraries import choose_library
from rkparity_agent.runtime_log import RuntimeLog
from rkparity_agent.worker import run_in_child

LOG_NAME = "runtime.log"
_MAX_JOB_NBYTES = 4 << 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("--job", required=True, metavar="FILE", help="the job as JSON; - reads standard input")


def run(arguments: argparse.Namespace, events: EventStream) -> dict[str, Any]:
    """Does the job; returns the result's fields, raises AgentFailure."""
    job = Job.from_json(_read(arguments.job))
    _different(job)
    output_dir = make_fresh(job.output_dir, "the output folder")
    if job.dump_dir is not None:
        make_fresh(job.dump_dir, "the dump folder")
    log_path = output_dir / LOG_NAME
    library = choose_library(job.library)
    try:
        result = run_in_child(lambda child: run_job(job, library, child), events, log_path, job.timeout_s)
    except AgentFailure:
        _tell_log(events, RuntimeLog.read(log_path))
        raise
    log = RuntimeLog.read(log_path)
    result.update({"dumps": [], "missing_dumps": [], "dump_problems": []})
    if job.dump_dir is not None:
        result.update(listing(Path(job.dump_dir), log.dumped))
        if not result["dumps"]:
            _tell_log(events, log)
            raise AgentFailure(
                "dumps",
                f"the runtime wrote no dump into {job.dump_dir}",
                hint="this runtime may not support RKNN_DUMP_DIR; read the runtime log",
            )
    result["log"] = str(log_path)
    result["log_messages"] = log.to_json()
    return result


def _different(job: Job) -> None:
    """Runtime log, outputs and dumps must not overwrite one another."""
    if job.dump_dir is not None and Path(job.dump_dir).resolve() == Path(job.output_dir).resolve():
        raise usage("job: dump_dir and output_dir are the same folder", "name two folders")


def _tell_log(events: EventStream, log: RuntimeLog) -> None:
    for line in log.tail:
        # Lines below W are kept in the log file; "I RKNN: ..." in a terminal hides what went wrong.
        if not line.startswith(("I ", "D ")):
            events.log("warning", f"runtime log: {line}")


def _read(source: str) -> object:
    try:
        if source == "-":
            text = sys.stdin.buffer.read(_MAX_JOB_NBYTES + 1)
        else:
            with Path(source).open("rb") as file:
                text = file.read(_MAX_JOB_NBYTES + 1)
    except OSError as error:
        raise usage(f"{source}: the job cannot be read: {error.strerror}") from error
    if len(text) > _MAX_JOB_NBYTES:
        raise usage(f"the job is larger than {_MAX_JOB_NBYTES} bytes")
    try:
        job: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise usage(f"the job is not JSON: {error}") from error
    return job
