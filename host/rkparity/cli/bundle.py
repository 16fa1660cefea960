"""Packs what the last `rkparity check` left for the vendor: model, sample, dumps, versions, error_analysis.txt, report.

The bundle holds no keys and no passwords, but it does hold your model and the paths of its build record. docs/check.md
lists its content.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rkparity.errors import ExitCode


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--project", type=Path, metavar="FILE", help="default: rkparity.toml in this folder")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: NAME-bundle.tar.gz")
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")


def run(arguments: argparse.Namespace) -> int:
    """Packs and says what is in it."""
    from rkparity.board.files.progress import size_text
    from rkparity.console import printable
    from rkparity.flow.bundle import write_bundle
    from rkparity.flow.check import kept_report
    from rkparity.flow.store import Store
    from rkparity.project import find_project, read_project
    from rkparity.report.check_view import markdown

    project = read_project(find_project(arguments.project))
    store = Store(project.output)
    out = arguments.output or Path(f"{project.name.replace('/', '_')}-bundle.tar.gz")
    bundle = write_bundle(project, store, out, markdown(kept_report(project, store)), force=arguments.force)
    print(printable(f"{bundle.path}: {len(bundle.names)} files, {size_text(bundle.nbytes)}; it holds your model"))
    return int(ExitCode.PASS)
