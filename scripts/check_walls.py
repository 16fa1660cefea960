"""Checks the walls between the parts of rkparity by reading every import; exit code 1 and a list when one is crossed.

csrc knows no Python. The device agent imports the standard library and its own package, nothing of the host. The host
uses the device package only for its compiled module and its version. Inside the host the arrows point one way: model
and runs below; then toolkit, board, compare; then emulator, flow, report; cli on top and imported by nobody. Only
toolkit/ knows rknn-toolkit2; only board/ and the virtual board's server know SSH; diagnose and compare touch no network
and no toolkit.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Which parts of the host each part may import. A part may always import itself, `errors`,
# `io`, `console` and the package's version.
ARROWS: dict[str, set[str]] = {
    "errors": set(),
    "io": set(),
    "console": set(),
    "findings": set(),
    "runs": set(),
    "model": {"runs"},
    "toolkit": {"runs", "model"},
    "original": {"runs", "model", "toolkit"},
    "board": {"findings", "runs", "model"},
    "compare": {"runs", "model"},
    "trace": {"runs", "model"},
    "lint": {"findings", "runs", "model", "trace"},
    "diagnose": {"findings", "runs", "model", "compare", "trace"},
    "emulator": {"runs", "model", "toolkit"},
    "flow": {
        "findings",
        "runs",
        "model",
        "toolkit",
        "original",
        "board",
        "compare",
        "diagnose",
        "trace",
        "lint",
        "project",
    },
    "report": {"findings", "runs", "model", "compare", "diagnose", "flow", "trace", "lint", "project"},
    "project": {"runs", "model", "toolkit"},
    "cli": {
        "findings",
        "runs",
        "model",
        "toolkit",
        "original",
        "board",
        "compare",
        "diagnose",
        "emulator",
        "flow",
        "report",
        "project",
        "trace",
        "lint",
    },
    "__main__": {"cli"},
}
# Packages that only the named parts may import.
RESERVED = {
    "rknn": {"toolkit"},
    "onnx": {"toolkit"},
    "torch": {"toolkit"},
    "onnxruntime": {"original", "toolkit"},
    "paramiko": {"board", "emulator"},
    "rich": {"report", "cli"},
    "socket": {"board", "emulator"},
}
# What the host may take from the device package: the compiled module and the package itself (its version, its files).
DEVICE_FOR_HOST = {"rkparity_agent", "rkparity_agent._native"}
# Class names that are still used twice.
SHARED_NAMES: set[str] = set()
PYTHON_IN_C = re.compile(r'#\s*include\s*[<"]Python\.h')


@dataclass(frozen=True)
class Import:
    """One import statement: which module, in which file, on which line."""

    module: str
    path: Path
    line: int


def imports_of(path: Path) -> Iterator[Import]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, path, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            # `from package import module` names the module only in the list.
            for alias in node.names:
                yield Import(
                    f"{module}.{alias.name}" if module in {"rkparity", "rkparity_agent"} else module, path, node.lineno
                )


def host_complaints(path: Path, host: Path) -> Iterator[str]:
    part = path.relative_to(host).parts[0].removesuffix(".py")
    if part == "__init__":
        part = "errors"
    worker = "worker" in path.relative_to(host).parts
    for item in imports_of(path):
        top, _, rest = item.module.partition(".")
        if item.module.startswith("."):
            yield complaint(item, "relative imports hide which wall they cross; write the full name")
        elif (
            top == "rkparity_agent"
            and item.module not in DEVICE_FOR_HOST
            and item.module != "rkparity_agent.__version__"
        ):
            yield complaint(item, "the host may use only the device package's compiled module")
        elif top == "rkparity" and worker:
            yield complaint(
                item, "the toolkit worker runs in the toolkit's interpreter, where rkparity is not installed"
            )
        elif top == "rkparity" and rest and rest != "__version__":
            target = rest.split(".")[0]
            if target not in ARROWS:
                yield complaint(item, f"rkparity.{target} is not a part that scripts/check_walls.py knows")
            elif target not in ARROWS.get(part, set()) | {part, "errors", "io", "console"}:
                yield complaint(item, f"{part} may not import {target}")
        elif top in RESERVED and part not in RESERVED[top]:
            yield complaint(item, f"only {' and '.join(sorted(RESERVED[top]))} may import {top}")


def device_complaints(path: Path) -> Iterator[str]:
    for item in imports_of(path):
        top = item.module.split(".")[0]
        # The compiled module needs cffi's backend at run time, but agent code never imports it itself.
        if top not in sys.stdlib_module_names and top != "rkparity_agent":
            yield complaint(item, "the device agent imports the standard library and its own package only")


def c_complaints(path: Path) -> Iterator[str]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if PYTHON_IN_C.search(line):
            yield f"{path.relative_to(ROOT)}:{number}: csrc knows no Python"


def names_twice(folders: Sequence[Path]) -> Iterator[str]:
    """One name, one meaning: no two public classes of the product share a name."""
    seen: dict[str, list[str]] = defaultdict(list)
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                seen[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    for name, places in seen.items():
        if len(places) > 1 and name not in SHARED_NAMES:
            yield f"{places[1]}: class {name} is also the name of {places[0]}; give each a name of its own"


def complaint(item: Import, why: str) -> str:
    return f"{item.path.relative_to(ROOT)}:{item.line}: imports {item.module}: {why}"


def main() -> int:
    complaints: list[str] = []
    host = ROOT / "host" / "rkparity"
    for path in sorted(host.rglob("*.py")):
        complaints += host_complaints(path, host)
    for path in sorted((ROOT / "device").rglob("*.py")):
        complaints += device_complaints(path)
    for path in sorted([*(ROOT / "csrc").rglob("*.c"), *(ROOT / "csrc").rglob("*.h")]):
        complaints += c_complaints(path)
    complaints += names_twice([host, ROOT / "device"])
    for line in complaints:
        print(line)
    print(f"walls: {len(complaints)} crossed", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
