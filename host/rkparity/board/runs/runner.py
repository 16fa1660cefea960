"""The command line of rkrun, the run of a board without Python, for a job the agent would get as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rkparity.errors import UsageError

# What the agent can do and rkrun cannot.
_AGENT_ONLY = ("prealloc", "output_fmt", "output_type", "perf")


def runner_command(program: str, job: Mapping[str, Any]) -> list[str]:
    """The arguments of `rkrun run` for `job`; UsageError when the job needs what only the agent can do."""
    asked = [name for name in _AGENT_ONLY if job[name]]
    if asked:
        raise UsageError(
            f"--{asked[0].replace('_', '-')} needs the device agent; this board has no Python and uses rkrun",
            hint="leave the option out, or install Python 3.8 or later on the board",
        )
    argv = [program, "run"]
    for option in ("model", "api", "dump_dir", "output_dir", "repeat", "core_mask", "dump_quant"):
        argv += [f"--{option.replace('_', '-')}", str(job[option])]
    if job["library"]:
        argv += ["--library", str(job["library"])]
    if job["native_outputs"]:
        argv.append("--native-outputs")
    for given in job["inputs"]:
        fields = [str(given["file"]), given["type"] or "", given["fmt"] or "", "1" if given["pass_through"] else ""]
        while not fields[-1]:
            fields.pop()
        argv += ["--input", ":".join(fields)]
    for shape in job["input_shapes"] or []:
        argv += ["--input-shape", ",".join(map(str, shape))]
    want_float = job["want_float"] if isinstance(job["want_float"], list) else [job["want_float"]]
    return [*argv, "--want-float", ",".join(str(int(item)) for item in want_float)]
