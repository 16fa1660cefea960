"""Prints how well the diagnosis names the faults of the corpus: rates and the confusion table.

    scripts/diagnosis-corpus                   every single fault once per model, pictures taking turns; 60 pairs; 200
                                               healthy inputs; 20 faults outside the list
    scripts/diagnosis-corpus --unseen 7001     pairs and the numbers of the faults drawn by that seed, on pictures that
                                               the search was not developed on
    scripts/diagnosis-corpus --every           every single fault on every picture (1300 cases)

Needs the toolkit environment (for OpenCV), a C compiler, and the wheels of three packages for their photographs.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

# One process a case is faster than threads inside one.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "integration" / "diagnose_inputs")]

import corpus as corpora  # noqa: E402
import numpy as np  # noqa: E402

from rkparity.diagnose.inputs import InputExplanation  # noqa: E402
from rkparity.toolkit.bootstrap import find_toolkit_python  # noqa: E402

AT_ONCE = 40


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", default="single,pair,healthy,outside", help="which of these (default: all)")
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--healthy", type=int, default=200)
    parser.add_argument("--models", default=",".join(corpora.MODELS))
    parser.add_argument("--seed", type=int, default=20, help="draws the pairs")
    parser.add_argument("--unseen", type=int, metavar="SEED", help="draws pairs and numbers, on other pictures")
    parser.add_argument("--every", action="store_true", help="single faults on every picture")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--toolkit-python", type=Path)
    parser.add_argument("-v", "--verbose", action="store_true", help="each case")
    options = parser.parse_args()
    models = options.models.split(",")
    unseen = options.unseen is not None
    pictures = corpora.UNSEEN if unseen else corpora.PICTURES
    seed = options.unseen if unseen else options.seed
    groups = {
        "single": lambda: corpora.single_cases(pictures, models, every=options.every),
        "pair": lambda: corpora.pair_cases(pictures, models, options.pairs, seed, redraw=unseen),
        "healthy": lambda: corpora.healthy_cases(options.healthy),
        "outside": corpora.outside_cases,
    }
    with tempfile.TemporaryDirectory(prefix="rkparity-corpus-") as folder:
        corpus = corpora.Corpus(Path(folder), find_toolkit_python(options.toolkit_python))
        for group in options.groups.split(","):
            cases = [case for case in groups[group]() if options.only in case.name]
            judge(corpus, group, cases, options.jobs, options.verbose)
    return 0


def judge(corpus: corpora.Corpus, group: str, cases: list[corpora.Case], jobs: int, verbose: bool) -> None:
    """Runs the cases, then prints the rate and, for every fault, how often it got which name."""
    confusion: dict[str, Counter[str]] = defaultdict(Counter)
    right, seconds = 0, []
    for first in range(0, len(cases), AT_ONCE):
        part = cases[first : first + AT_ONCE]
        dumps = corpus.dumps(part)
        for case in part:
            corpus.variant(case.model, case.picture, case.expected)
        # Forked, so that the pictures need not be made again.
        with multiprocessing.get_context("fork").Pool(jobs, _take, (corpus,)) as pool:
            answers = pool.starmap(_explain, list(zip(part, dumps)), chunksize=1)
        for case, (answer, took) in zip(part, answers):
            seconds.append(took)
            good = corpora.is_right(case, answer)
            right += good
            confusion["+".join(case.labels) or case.name.rsplit("/", 1)[1].rstrip("0123456789")][
                "right" if good else corpora.described(answer)
            ] += 1
            if not good or verbose:
                best = answer.hypotheses[0] if answer.hypotheses else None
                numbers = best and (round(best.residual, 2), round(best.matched, 3), best.confidence)
                print(f"  {'ok ' if good else 'BAD'} {case.name}: {corpora.described(answer)} {numbers}", flush=True)
    if not cases:
        return
    print(f"{group}: {right} of {len(cases)} right ({100 * right / len(cases):.1f} %), ", end="")
    print(f"median {np.median(seconds):.2f} s, slowest {max(seconds):.2f} s")
    for true, named in sorted(confusion.items()):
        if group != "pair" or set(named) != {"right"}:
            print(f"    {true:40s} {', '.join(f'{name} {count}' for name, count in named.most_common())}")
    sys.stdout.flush()


def _take(corpus: corpora.Corpus) -> None:
    global _corpus  # noqa: PLW0603 - a forked worker's own
    _corpus = corpus


def _explain(case: corpora.Case, dump: np.ndarray) -> tuple[InputExplanation, float]:
    start = time.perf_counter()
    return _corpus.explain(case, dump), time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
