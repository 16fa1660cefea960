"""Measures every row, prints the table. Exit code 0: every budget met, 1: one was missed or could not be measured."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
import tempfile
from pathlib import Path

from bench_rows.row import NotMeasured, Row

ROWS = ("scoring", "compare", "simulate", "pull", "start", "emulator", "layer", "diagnose")


def machine() -> str:
    """Processor, cores, memory, system, Python."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    processor = names[0] if names else platform.processor() or platform.machine()
    return (
        f"{processor}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
    )


def show(row: Row) -> None:
    """One line of the table."""
    verdict = {None: "", True: "met", False: "MISSED"}[row.met]
    print(f"{row.name:<50} {row.figure:<44} {row.budget:<10} {verdict}".rstrip(), flush=True)


def main() -> int:
    """Runs the rows asked for."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"which rows: {', '.join(ROWS)} (default: all)")
    parser.add_argument("--work", type=Path, metavar="DIR", help="folder for temporary data, about 1.5 GB")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.rows) - set(ROWS))
    if unknown:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    print(machine())
    failed = False
    for name in arguments.rows or ROWS:
        with tempfile.TemporaryDirectory(prefix="rkparity-bench-", dir=arguments.work) as folder:
            try:
                rows = importlib.import_module(f"bench_rows.{name}").measure(Path(folder))
            except NotMeasured as reason:
                rows = [Row(name, f"not measured: {reason}", met=False)]
        for row in rows:
            show(row)
            failed = failed or row.met is False
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
