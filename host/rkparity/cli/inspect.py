"""Shows what a .rknn file says about itself: target, versions, inputs with mean and std, outputs, and every operator in
execution order with its scale and zero point. docs/inspect.md explains the fields.

Exit codes: 0 shown, 2 no such file or not a .rknn, 3 the file is damaged or truncated.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("model", metavar="M.rknn", type=Path, help="the compiled model")
    parser.add_argument(
        "--shape-set",
        type=int,
        default=0,
        metavar="N",
        help="of a model built with dynamic_input (default 0, the largest)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON (docs/inspect.md) instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Reads and prints; returns the exit code."""
    from rkparity.errors import ExitCode, UsageError
    from rkparity.model import read_model

    model = read_model(arguments.model)
    if arguments.shape_set != 0:
        if not 0 <= arguments.shape_set < len(model.graphs):
            raise UsageError(
                f"--shape-set {arguments.shape_set}: {model.path} has {max(1, len(model.graphs))}, counted from 0"
            )
        model = model.at_graph(arguments.shape_set)
    if arguments.json:
        import json

        from rkparity.model.model_json import model_to_json

        # Plain ASCII: names may hold anything, and a pipe may be of any encoding.
        print(json.dumps(model_to_json(model), indent=1, allow_nan=False))
    else:
        from rkparity.report.model_view import print_model

        print_model(model)
    return ExitCode.PASS
