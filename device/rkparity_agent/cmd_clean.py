"""`clean`: removes run folders that rkparity made, and nothing else."""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path
from typing import Any

from rkparity_agent.events import AgentFailure, EventStream, usage
from rkparity_agent.folders import is_ours


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("--root", required=True, metavar="FOLDER", help="folder that holds the run folders")
    parser.add_argument(
        "--older-than", type=float, default=0.0, metavar="SECONDS", help="keep younger ones (default: 0)"
    )


def run(arguments: argparse.Namespace, events: EventStream) -> dict[str, Any]:
    """Removes marked folders directly under the root; returns the result's fields."""
    root = Path(arguments.root)
    if not root.is_dir():
        raise usage(f"{arguments.root} is not a folder")
    removed: list[str] = []
    kept: list[str] = []
    now = time.time()
    try:
        for folder in sorted(root.iterdir()):
            if is_ours(folder) and now - folder.stat().st_mtime >= arguments.older_than:
                shutil.rmtree(folder)
                removed.append(folder.name)
            else:
                kept.append(folder.name)
    except OSError as error:
        raise AgentFailure("environment", f"{error.filename}: cannot be removed: {error.strerror}") from error
    return {"removed": removed, "kept": kept}
