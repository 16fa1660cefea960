"""Make the environment rknn-toolkit2 runs in: 0.6 GB, without PyTorch unless asked for."""

from __future__ import annotations

import argparse
from pathlib import Path

from rkparity.errors import ExitCode


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "--version", default="2.5.0", metavar="V", help="of rknn-toolkit2: 2.2.0, 2.3.0, 2.3.2 or 2.5.0 (default)"
    )
    parser.add_argument("--dest", type=Path, metavar="FOLDER", help="default: ~/.cache/rkparity/toolkit/VERSION")
    parser.add_argument(
        "--python", type=Path, metavar="FILE", help="interpreter to make it from, 3.8 to 3.12 (default: this one)"
    )
    parser.add_argument(
        "--with-torch", action="store_true", help="install PyTorch itself, for .pt models and quantized_algorithm gdq"
    )
    parser.add_argument(
        "--torch-index-url", metavar="URL", help="where --with-torch takes it from, such as a CPU-only index"
    )
    parser.add_argument("--force", action="store_true", help="make it again even if it is complete")


def run(arguments: argparse.Namespace) -> int:
    """Makes the environment and prints its interpreter."""
    from rkparity.toolkit.bootstrap import Recipe, default_folder, setup_toolkit

    recipe = Recipe(arguments.version, arguments.with_torch, arguments.torch_index_url)
    folder = (arguments.dest or default_folder(arguments.version)).absolute()
    python = setup_toolkit(
        folder, recipe, python=arguments.python, force=arguments.force, say=lambda line: print(line, flush=True)
    )
    print(f"rknn-toolkit2 {arguments.version}: {python}")
    return int(ExitCode.PASS)
