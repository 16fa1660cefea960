"""The command line of rkrun, the run of a board without Python, for a job the agent would get as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def runner_command(program: str, job: Mapping[str, Any]) -> list[str]:
    """The arguments of `rkrun run` for `job`."""
    argv = [
        program,
        "run",
        "--model",
        str(job["model"]),
        "--api",
        str(job["api"]),
        "--dump-dir",
        str(job["dump_dir"]),
        "--output-dir",
        str(job["output_dir"]),
        "--repeat",
        str(job["repeat"]),
        "--core-mask",
        str(job["core_mask"]),
    ]
    if job["library"]:
        argv += ["--library", str(job["library"])]
    for given in job["inputs"]:
        fields = [str(given["file"]), given["type"] or "", given["fmt"] or "", "1" if given["pass_through"] else ""]
        while not fields[-1]:
            fields.pop()
        argv += ["--input", ":".join(fields)]
    want_float = job["want_float"]
    argv += [
        "--want-float",
        ",".join(str(int(item)) for item in want_float) if isinstance(want_float, list) else str(int(want_float)),
    ]
    return argv
