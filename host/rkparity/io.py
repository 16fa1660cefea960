"""Files that rkparity reads and writes: the one atomic writer, one JSON and one TOML reader, one rule for `--force`."""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import secrets
import stat
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


def is_standard_output(path: Path | None) -> bool:
    """Whether `path` is the `-` that stands for standard output wherever a command writes a result."""
    return path is not None and str(path) == "-"


def write_output(path: Path, text: str, *, failure: type[RkparityError] = UsageError) -> None:
    """Writes a result where the user wants it: `-` is standard output; devices and pipes are written into."""
    if is_standard_output(path):
        sys.stdout.write(text)
    elif path.exists() and not path.is_file() and not path.is_dir():
        try:
            path.write_bytes(text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise failure(f"{path}: cannot be written: {error.strerror or error}") from error
    else:
        write_text(path, text, failure=failure)


@contextlib.contextmanager
def open_regular(path: Path) -> Iterator[IO[bytes]]:
    """A regular file for reading. OSError for anything else: a FIFO would make us wait, a device may never end."""
    # Without O_NONBLOCK, opening a FIFO waits for its writer.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        yield file


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
        with open_regular(path) as file:
            value = json.loads(file.read().decode("utf-8"))
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
        with open_regular(path) as file:
            data = file.read(_MAX_TOML_NBYTES + 1)
        if len(data) > _MAX_TOML_NBYTES:
            raise ConfigError(f"{path}: is larger than {_MAX_TOML_NBYTES} bytes; this is not a {what}")
        text = data.decode("utf-8").replace("\r\n", "\n")
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
    """UsageError when a file of this name would replace something without `force`; `option` is how it was named.

    Never for a device, a pipe or `-`, which a file cannot take the place of: results go there by `check_output`.
    """
    name = f"{option} {path}".strip()
    if is_standard_output(path):
        raise UsageError(f"{name}: is standard output, and this is written as a file", hint="give a file name")
    if path.is_dir():
        raise UsageError(f"{name}: is a folder", hint="give a file name")
    if path.exists() and not path.is_file():
        raise UsageError(f"{name}: is not a regular file", hint="give a file name")
    if path.exists() and not force:
        raise UsageError(f"{name}: exists already", hint="choose another name, or --force to replace it")


def check_output(path: Path, *, force: bool, option: str = "") -> None:
    """As `check_new_file`, for what `write_output` writes: standard output, devices and pipes take results too."""
    if is_standard_output(path) or (path.exists() and not path.is_file() and not path.is_dir()):
        return
    check_new_file(path, force=force, option=option)


def check_folder_name(path: Path) -> None:
    """UsageError for `-`, which is standard output wherever it is said and cannot hold a folder."""
    if is_standard_output(path):
        raise UsageError("-: a folder is made, which standard output cannot hold", hint="name a folder")


def check_new_folder(path: Path, *, force: bool) -> None:
    """UsageError when a folder of this name would replace something without `force`; an empty folder is nothing."""
    check_folder_name(path)
    if path.exists() and not force and not (path.is_dir() and not any(path.iterdir())):
        raise UsageError(f"{path}: exists already", hint="choose another folder, or --force to replace it")
