"""Make the environment rknn-toolkit2 runs in: 0.6 GB; PyTorch and TensorFlow only when asked for."""

from __future__ import annotations

import argparse
from pathlib import Path

from rkparity.errors import ExitCode


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "--version",
        metavar="V",
        help="of rknn-toolkit2: 2.2.0, 2.3.0, 2.3.2 or 2.5.0 (default: what is in --dest, else 2.5.0)",
    )
    parser.add_argument("--dest", type=Path, metavar="FOLDER", help="default: ~/.cache/rkparity/toolkit/VERSION")
    parser.add_argument(
        "--python", type=Path, metavar="FILE", help="interpreter to make it from, 3.8 to 3.12 (default: this one)"
    )
    parser.add_argument(
        "--with-torch", action="store_true", help="add PyTorch, for .pt models and quantized_algorithm gdq"
    )
    parser.add_argument("--with-tflite", action="store_true", help="add TensorFlow and LiteRT, for .tflite models")
    parser.add_argument("--with-tensorflow", action="store_true", help="add TensorFlow, for frozen graphs (.pb)")
    parser.add_argument(
        "--torch-index-url", metavar="URL", help="one more index for --with-torch, such as PyTorch's own of CPU builds"
    )
    parser.add_argument("--force", action="store_true", help="make it again even if it is complete")


def run(arguments: argparse.Namespace) -> int:
    """Makes the environment and prints its interpreter."""
    from rkparity.toolkit.bootstrap import DEFAULT_VERSION, Recipe, default_folder, setup_toolkit, version_in
    from rkparity.toolkit.frameworks import FrameworkPackage

    dest: Path | None = arguments.dest
    version = arguments.version or (None if dest is None else version_in(dest)) or DEFAULT_VERSION
    packages = frozenset(item for item in FrameworkPackage if getattr(arguments, f"with_{item.value}"))
    folder = (dest or default_folder(version)).absolute()
    python = setup_toolkit(
        folder,
        Recipe(version, packages, arguments.torch_index_url),
        python=arguments.python,
        force=arguments.force,
        say=lambda line: print(line, flush=True),
    )
    print(f"rknn-toolkit2 {version}: {python}")
    return int(ExitCode.PASS)
