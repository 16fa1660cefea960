"""Files that rkparity reads and writes: the one atomic writer, one JSON and one TOML reader, one rule for `--force`."""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from rkparity.errors import ConfigError, RkparityError, UsageError

# A name may have 255 bytes on the usual file systems; the temporary name adds to it.
_KEPT_OF_NAME_NBYTES = 100
_MAX_TOML_NBYTES = 1 << 20


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file beside `path` that takes its name when the block ends without an error: whole or untouched.

    Raises OSError; also for what is there and is no regular file, such as a device.
    """
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "is not a regular file", str(path))
    start = os.fsdecode(os.fsencode(path.name)[:_KEPT_OF_NAME_NBYTES])
    temporary = path.with_name(f".{start}.{os.getpid()}-{secrets.token_hex(4)}.part")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def write_bytes(path: Path, data: bytes, *, failure: type[RkparityError] = UsageError, hint: str = "") -> None:
    """Writes a file, on the disk and whole, or leaves it untouched and raises `failure`."""
    try:
        with replacing(path) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise failure(f"{path}: cannot be written: {error.strerror or error}", hint=hint) from error


def write_text(path: Path, text: str, *, failure: type[RkparityError] = UsageError, hint: str = "") -> None:
    """Writes UTF-8 text as `write_bytes` does; half surrogate pairs, of odd file names, stay readable as escapes."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"), failure=failure, hint=hint)


def json_text(document: Mapping[str, Any]) -> str:
    """A document as rkparity writes all of them; ValueError for NaN and Inf, which JSON has not.

    What would steer a terminal that shows the file is written as an escape of JSON, so the document means the same.
    """
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    if text.replace("\n", "").isprintable():
        return text
    return "".join(part if part == "\n" or part.isprintable() else json.dumps(part)[1:-1] for part in text)


def write_json(
    path: Path, document: Mapping[str, Any], *, failure: type[RkparityError] = UsageError, hint: str = ""
) -> None:
    """Writes a JSON document as `write_text` does."""
    write_text(path, json_text(document), failure=failure, hint=hint)


def read_json(
    path: Path,
    *,
    unreadable: type[RkparityError] = UsageError,
    damaged: type[RkparityError] = ConfigError,
    hint: str = "",
) -> dict[str, Any]:
    """The JSON object in a file; `unreadable` when there is none to read, `damaged` when it holds something else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise unreadable(f"{path}: cannot be read: {error.strerror}", hint=hint) from error
    except (ValueError, RecursionError) as error:
        raise damaged(f"{path}: is not JSON: {error}", hint=hint) from error
    if not isinstance(value, dict):
        raise damaged(f"{path}: must hold a JSON object, not {type(value).__name__}", hint=hint)
    return value


def read_toml(path: Path, what: str, *, unreadable: type[RkparityError] = ConfigError) -> dict[str, Any]:
    """The table in a TOML file; `what` is how messages call it ("threshold file"). ConfigError when it is none."""
    toml: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        if path.stat().st_size > _MAX_TOML_NBYTES:
            raise ConfigError(f"{path}: is larger than {_MAX_TOML_NBYTES} bytes; this is not a {what}")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise unreadable(f"{path}: {what} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: {what} is not UTF-8 text") from error
    try:
        table: dict[str, Any] = toml.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error
    return table


def check_new_file(path: Path, *, force: bool, option: str = "") -> None:
    """UsageError when a file of this name would replace something without `force`; `option` is how it was named."""
    name = f"{option} {path}".strip()
    if path.is_dir():
        raise UsageError(f"{name}: is a folder", hint="give a file name")
    if path.exists() and not force:
        raise UsageError(f"{name}: exists already", hint="choose another name, or --force to replace it")


def check_new_folder(path: Path, *, force: bool) -> None:
    """UsageError when a folder of this name would replace something without `force`; an empty folder is nothing."""
    if path.exists() and not force and not (path.is_dir() and not any(path.iterdir())):
        raise UsageError(f"{path}: exists already", hint="choose another folder, or --force to replace it")
