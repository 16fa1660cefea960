"""The environment rknn-toolkit2 runs in: made by a fixed recipe, found again, never mixed with rkparity's own.

rknn-toolkit2's metadata asks for PyTorch with CUDA, 5.7 GB in all, of which loading, building and simulating any model
but a PyTorch one touches a few names. The recipe installs the toolkit without its dependencies, then those it uses, in
versions it works with, then a stand-in for PyTorch: 0.6 GB.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rkparity.errors import ConfigError, ToolkitError, UsageError
from rkparity.io import read_json, write_json
from rkparity.toolkit.frameworks import FrameworkPackage, cpu_build

SUPPORTED_VERSIONS = ("2.2.0", "2.3.0", "2.3.2", "2.5.0")
DEFAULT_VERSION = "2.5.0"
# numpy 2 breaks building PP-OCRv4's recogniser, onnx 1.19 has no `onnx.mapping`, setuptools 82 has no pkg_resources:
# the toolkit needs all three. Newer onnxruntime and opencv want numpy 2; pip would download one after the other to
# find out. The extra `toolkit` in pyproject.toml is the same list; a test compares them.
REQUIREMENTS = (
    "numpy<=1.26.4",
    "protobuf>=4.21.6,<=4.25.4",
    "onnx>=1.16.1,<=1.18.0",
    "onnxruntime>=1.17,<1.27",
    "scipy",
    "tqdm",
    "ruamel.yaml",
    "psutil",
    "fast-histogram",
    "opencv-python-headless<4.12",
    "setuptools<82",
)
# PyTorch's own index of CPU-only wheels.
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
PYTHON_ENVIRONMENT_VARIABLE = "RKPARITY_TOOLKIT_PYTHON"
STAMP_NAME = "rkparity-toolkit.json"
_STUB = Path(__file__).resolve().parent / "stub"
_MACHINES = ("x86_64", "aarch64")
_OLDEST_PYTHON, _NEWEST_PYTHON = (3, 8), (3, 12)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Recipe:
    """What to put into the environment."""

    version: str = DEFAULT_VERSION
    packages: frozenset[FrameworkPackage] = frozenset()
    torch_index_url: str | None = None

    def digest(self) -> str:
        """A hash of everything that decides the environment's content, but for the frameworks added to it."""
        stand_in = {
            str(path.relative_to(_STUB)): path.read_text(encoding="utf-8") for path in sorted(_STUB.rglob("*.py"))
        }
        content = {"version": self.version, "requirements": REQUIREMENTS, "stand_in": stand_in}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def default_folder(version: str) -> Path:
    """Where `setup-toolkit` puts an environment when not told."""
    return Path.home() / ".cache" / "rkparity" / "toolkit" / version


def find_toolkit_python(explicit: Path | None) -> Path:
    """The toolkit's interpreter.

    Looked for in this order: `explicit` (an interpreter or its environment's folder), the environment variable
    RKPARITY_TOOLKIT_PYTHON, `.toolkit/VERSION/bin/python` under the current directory and under the checkout,
    `~/.cache/rkparity/toolkit/VERSION/bin/python`; the default version first, then newer before older. The symbolic
    link is not resolved: it is what makes the environment. Raises ToolkitError when there is none, UsageError when one
    that was named does not exist.
    """
    named = os.environ.get(PYTHON_ENVIRONMENT_VARIABLE)
    if explicit is not None:
        return _named_python(explicit, "--toolkit-python")
    if named:
        return _named_python(Path(named), PYTHON_ENVIRONMENT_VARIABLE)
    versions = (DEFAULT_VERSION, *(item for item in reversed(SUPPORTED_VERSIONS) if item != DEFAULT_VERSION))
    for base in (Path.cwd() / ".toolkit", *_checkout_folder(), default_folder("x").parent):
        for version in versions:
            # The stamp is written last: without it the environment is half made.
            if (base / version / STAMP_NAME).is_file() and _python_of(base / version).exists():
                return _python_of(base / version)
    raise ToolkitError(
        "no environment with rknn-toolkit2 was found",
        hint="make one with `rkparity setup-toolkit`, or name an interpreter that has rknn-toolkit2 with "
        f"--toolkit-python or {PYTHON_ENVIRONMENT_VARIABLE}",
    )


def setup_toolkit(
    folder: Path, recipe: Recipe, *, python: Path | None = None, force: bool = False, say: Say | None = None
) -> Path:
    """Makes the environment `folder` by `recipe` and returns its interpreter; does nothing when it is there already.

    `python` (3.8 to 3.12) makes it; the running interpreter when not given. `say` gets one line per step. Everything
    pip prints is in `folder/setup.log`. An environment that was interrupted is made anew. Raises UsageError for a
    version, interpreter or machine that cannot work, ToolkitError with pip's last line when an installation fails.
    """
    tell = say or (lambda line: None)
    if recipe.version not in SUPPORTED_VERSIONS:
        raise UsageError(
            f"rknn-toolkit2 {recipe.version} is not supported", hint="supported: " + ", ".join(SUPPORTED_VERSIONS)
        )
    if not force and _missing_packages(folder, recipe) == ():
        return _python_of(folder)
    with _locked(folder):
        missing = _missing_packages(folder, recipe)
        if missing == () and not force:
            return _python_of(folder)
        have = set(_installed_packages(folder))
        if missing is None or force:
            interpreter = python or Path(sys.executable)
            _check_interpreter(interpreter, recipe)
            if folder.exists() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").exists():
                raise UsageError(f"{folder}: is not empty and is no Python environment", hint="choose another --dest")
            missing, have = tuple(item for item in FrameworkPackage if item in {*recipe.packages, *have}), set()
            (folder / STAMP_NAME).unlink(missing_ok=True)
            _make(folder, recipe, interpreter, tell)
        (folder / STAMP_NAME).unlink(missing_ok=True)
        try:
            for package in missing:
                _add(folder, recipe, package, tell)
                have.add(package)
        except ToolkitError:
            # pip resolves and downloads everything before it changes anything: the environment is what it was.
            _write_stamp(folder, recipe, have)
            raise
        _write_stamp(folder, recipe, have)
    return _python_of(folder)


def version_in(folder: Path) -> str | None:
    """The version of rknn-toolkit2 in an environment made by `setup_toolkit`; None when it is none."""
    version = _stamp(folder).get("version")
    return version if isinstance(version, str) else None


def _make(folder: Path, recipe: Recipe, interpreter: Path, tell: Say) -> None:
    """The environment without any framework package."""
    tell(f"[1/3] environment {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "setup.log"
    # --clear empties the folder, the log with it, so the log starts after.
    made = subprocess.run(
        [str(interpreter), "-m", "venv", "--clear", str(folder)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise ToolkitError(
            f"{interpreter} cannot make an environment in {folder}: {_last_line(made.stdout + made.stderr)}",
            hint="on Debian and Ubuntu the package python3-venv is needed",
        )
    log.write_text(made.stdout + made.stderr, encoding="utf-8")
    python = _python_of(folder)
    tell(f"[2/3] rknn-toolkit2 {recipe.version}, without its dependencies")
    _run([*_pip(python), "--no-deps", f"rknn-toolkit2=={recipe.version}"], log, tell)
    tell("[3/3] what it needs, and a stand-in for PyTorch")
    _run([*_pip(python), *REQUIREMENTS], log, tell)
    _install_stub(python)
    _run([str(python), "-c", "from rknn.api import RKNN; RKNN()"], log, tell)


def _add(folder: Path, recipe: Recipe, package: FrameworkPackage, tell: Say) -> None:
    """Adds one framework; what the toolkit itself needs stays in the versions it works with."""
    tell(f"[{package.option}] {package.label}")
    python, log = _python_of(folder), folder / "setup.log"
    if package is not FrameworkPackage.TORCH:
        _run([*_pip(python), *package.requirements, *REQUIREMENTS], log, tell)
        _run([str(python), "-c", "import tensorflow as tf; tf.lite.Interpreter"], log, tell)
        return
    index = [] if recipe.torch_index_url is None else ["--extra-index-url", recipe.torch_index_url]
    cpu_only = [cpu_build(item) for item in package.requirements]
    try:
        _run([*_pip(python), *index, *cpu_only, *REQUIREMENTS], log, tell)
    except ToolkitError:
        if platform.machine() == "x86_64":
            tell(
                "      no CPU-only build here, so the one with CUDA: 5 GB more; --torch-index-url "
                f"{TORCH_CPU_INDEX} has a CPU-only one"
            )
        _run([*_pip(python), *index, *package.requirements, *REQUIREMENTS], log, tell)
    # Every other file of the stand-in is overwritten by PyTorch's own.
    (_site_packages(python) / "torch" / "_missing.py").unlink(missing_ok=True)
    _run([str(python), "-c", "import torch; torch.jit.load"], log, tell)


def _pip(python: Path) -> list[str]:
    options = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    return [str(python), "-m", "pip", "install", *options]


def _run(command: list[str], log: Path, tell: Say) -> None:
    """Runs one step, its output into the log and pip's milestones to `tell`."""
    lines = []
    with log.open("a", encoding="utf-8") as file, subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            file.write(line)
            lines.append(line)
            milestone = re.match(r"\s*(Downloading|Installing collected)\b.*", line)
            if milestone:
                tell("      " + milestone.group(0).strip()[:100])
    if process.returncode != 0:
        errors = [line for line in lines if line.startswith("ERROR:")]
        raise ToolkitError(
            f"setting up rknn-toolkit2 failed: {_last_line(''.join(errors or lines))}",
            hint=f"the whole output is in {log}; the same command again starts afresh",
        )


def _site_packages(python: Path) -> Path:
    script = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    return Path(subprocess.run([str(python), "-c", script], capture_output=True, text=True, check=True).stdout.strip())


def _install_stub(python: Path) -> None:
    site = _site_packages(python)
    for source in sorted(_STUB.rglob("*.py")):
        target = site / source.relative_to(_STUB)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())


def _check_interpreter(python: Path, recipe: Recipe) -> None:
    if sys.platform != "linux" or platform.machine() not in _MACHINES:
        raise UsageError(
            f"rknn-toolkit2 exists for Linux on x86_64 and aarch64 only, not for {sysconfig.get_platform()}"
        )
    if python == Path(sys.executable):
        version = (sys.version_info.major, sys.version_info.minor)
    else:
        script = "import sys; print(sys.version_info.major, sys.version_info.minor)"
        try:
            found = subprocess.run(
                [str(python), "-c", script], capture_output=True, text=True, check=True
            ).stdout.split()
        except (OSError, subprocess.CalledProcessError) as error:
            raise UsageError(f"{python}: is not a Python interpreter: {error}") from error
        version = (int(found[0]), int(found[1]))
    # 2.2.0 has no wheel for Python 3.8.
    oldest = (3, 9) if recipe.version == "2.2.0" else _OLDEST_PYTHON
    if not oldest <= version <= _NEWEST_PYTHON:
        raise UsageError(
            f"{python} is Python {version[0]}.{version[1]}; rknn-toolkit2 {recipe.version} needs "
            f"{oldest[0]}.{oldest[1]} to {_NEWEST_PYTHON[0]}.{_NEWEST_PYTHON[1]}",
            hint="name another interpreter with --python",
        )


def _stamp(folder: Path) -> Mapping[str, Any]:
    """The record written last; empty when the environment is not there or half made."""
    try:
        return read_json(folder / STAMP_NAME)
    except (UsageError, ConfigError):
        return {}


def _write_stamp(folder: Path, recipe: Recipe, have: Collection[FrameworkPackage]) -> None:
    packages = {item.value: list(item.requirements) for item in FrameworkPackage if item in have}
    write_json(folder / STAMP_NAME, {"recipe": recipe.digest(), "version": recipe.version, "packages": packages})


def _installed_packages(folder: Path) -> frozenset[FrameworkPackage]:
    packages = _stamp(folder).get("packages")
    return frozenset(item for item in FrameworkPackage if isinstance(packages, dict) and item.value in packages)


def _missing_packages(folder: Path, recipe: Recipe) -> tuple[FrameworkPackage, ...] | None:
    """Which of the frameworks asked for, or there in another version, are to be added; None: all is to be made."""
    stamp = _stamp(folder)
    if stamp.get("recipe") != recipe.digest() or not _python_of(folder).exists():
        return None
    packages = stamp.get("packages")
    have = packages if isinstance(packages, dict) else {}
    wanted = {*recipe.packages, *_installed_packages(folder)}
    return tuple(
        item for item in FrameworkPackage if item in wanted and have.get(item.value) != list(item.requirements)
    )


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One set-up at a time for a folder; a second one waits and then finds it made."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_name(f".{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except PermissionError as error:
        raise UsageError(f"{folder}: cannot be made: {error.strerror}", hint="choose another --dest") from error


def _python_of(folder: Path) -> Path:
    return folder / "bin" / "python"


def _named_python(path: Path, source: str) -> Path:
    candidate = _python_of(path) if path.is_dir() else path
    if not candidate.exists():
        raise UsageError(
            f"{source} {path}: there is no interpreter",
            hint="give the python inside the toolkit's environment, or that environment's folder",
        )
    return candidate.absolute()


def _checkout_folder() -> tuple[Path, ...]:
    # Run from the source tree, or installed into the checkout's own .venv as scripts/setup does.
    candidates = (Path(__file__).resolve().parents[3], Path(sys.prefix).parent)
    return tuple(folder / ".toolkit" for folder in candidates if (folder / "pyproject.toml").is_file())


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "(it printed nothing)"
