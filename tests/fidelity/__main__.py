"""Plays the recorded experiments and prints how many match in each aspect: `python -m fidelity [--all] [NAME...]`.

NAME is an experiment or a pattern such as `160_zc_*`. Exit code 1 when something deviates that deviations.toml does not
explain, or when an entry there explains nothing any more.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fidelity.aspects import Outcome, Result
from fidelity.deviations import Known, outdated, read_known, unexplained
from fidelity.player import ARCHITECTURES
from fidelity.session import play_all, prepare, totals

_FAMILIES = ("160_", "152_", "mrt232_", "140_", "120_", "seq_")


def main(arguments: Sequence[str]) -> int:
    """Prints totals, deviations by reason, and what nothing explains."""
    parser = argparse.ArgumentParser(prog="fidelity", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--all", action="store_true", help="print explained differences one by one too")
    parser.add_argument("--arch", choices=ARCHITECTURES, default="native", help="play cross-compiled, under qemu-user")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="play in DIR and leave logs, dumps and buffers there")
    parser.add_argument("names", nargs="*", metavar="NAME", help="experiments or patterns; all without one")
    options = parser.parse_args(arguments)
    patterns = options.names or ["*"]
    with tempfile.TemporaryDirectory(prefix="rkparity-fidelity-") as temporary:
        scratch = options.keep or Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        results = play_all(
            prepare(scratch, ARCHITECTURES[options.arch]),
            scratch,
            lambda name: any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns),
        )
    known = read_known()
    if not results:
        print(f"no experiment is named {' '.join(patterns)}", file=sys.stderr)
        return 2
    _print_totals(results)
    _print_reasons(results, known, every=options.all)
    problems = unexplained(results, known)
    if not options.names:
        problems += outdated(results, known)
    for problem in problems:
        print(f"NOT EXPLAINED: {problem}")
    return 1 if problems else 0


def _print_totals(results: Sequence[Result]) -> None:
    print(f"{'':10}" + "".join(f"{outcome.value:>16}" for outcome in Outcome))
    for family in ("", *_FAMILIES):
        chosen = [result for result in results if result.experiment.startswith(family)]
        if not chosen:
            continue
        print(f"{family or 'all'}{'*' if family else ''}: {len({result.experiment for result in chosen})} experiments")
        for aspect, counts in totals(chosen).items():
            print(f"  {aspect:<10}" + "".join(f"{counts[outcome]:>14}  " for outcome in Outcome))


def _print_reasons(results: Sequence[Result], known: Sequence[Known], *, every: bool) -> None:
    for entry in known:
        pairs = [
            (result, difference)
            for result in results
            for difference in result.differences
            if entry.explains(result, difference)
        ]
        if not pairs:
            continue
        names = sorted({result.experiment for result, _ in pairs})
        print(f"\n{len(names)} experiments, {len(pairs)} differences: {entry.reason}")
        print("  " + " ".join(names if every else names[:6]) + (" ..." if not every and len(names) > 6 else ""))
        for result, difference in pairs if every else ():
            print(f"    {result.experiment} [{result.aspect}] {difference}")
    reasons: dict[str, set[str]] = {}
    for result in results:
        if result.outcome is Outcome.NOT_APPLICABLE:
            reasons.setdefault(result.reason, set()).add(result.experiment)
    print("\nnot applicable:")
    for reason, experiments in sorted(reasons.items(), key=lambda item: -len(item[1])):
        print(f"  {len(experiments):>4}  {reason}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
