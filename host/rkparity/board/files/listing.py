"""What is in a folder on the board, asked for with nothing but a POSIX shell."""

from __future__ import annotations

import re
import shlex
import stat
from dataclasses import dataclass

from rkparity.board.link.process import last_line
from rkparity.board.link.transport import Transport
from rkparity.errors import BoardError, TransferError

# Both the folder's absence and missing rights are told by exit codes of our own: texts differ between shells.
_NO_FOLDER, _NO_RIGHT = 66, 67
FOLDER = "a folder"
_LISTING_LIMIT_NBYTES = 64 << 20
_SCRIPT = """
d=%s
if [ ! -d "$d" ]; then exit 66; fi
cd "$d" 2>/dev/null && ls . >/dev/null 2>&1 || exit 67
if stat -c %%s . >/dev/null 2>&1; then
  find . ! -name . -prune -exec stat -c '%%f %%s %%Y %%n' {} +
else
  for f in ./* ./.[!.]*; do
    if [ -L "$f" ]; then echo "a000 0 0 $f"
    elif [ -d "$f" ]; then echo "4000 0 0 $f"
    elif [ -f "$f" ]; then echo "8000 $(wc -c < "$f" | tr -d ' ') 0 $f"
    elif [ -e "$f" ]; then echo "1000 0 0 $f"
    fi
  done
fi
exit 0
"""
_LINE = re.compile(r"([0-9a-f]{1,8}) ([0-9]{1,18}) (-?[0-9]{1,18}) \./(.+)")


@dataclass(frozen=True)
class RemoteFile:
    """A regular file on the board; `mtime` is in seconds, 0 where the board cannot say."""

    name: str
    nbytes: int
    mtime: int


@dataclass(frozen=True)
class Listing:
    """A folder's regular files by name, and everything else with what it is."""

    directory: str
    files: tuple[RemoteFile, ...]
    others: tuple[tuple[str, str], ...]


def list_folder(transport: Transport, directory: str) -> Listing | None:
    """The content of `directory` on the board, None if there is no such folder.

    Raises BoardError when it may not be read, TransferError when the answer is no listing.
    """
    answer = transport.run_script(_SCRIPT % shlex.quote(directory), limit_nbytes=_LISTING_LIMIT_NBYTES)
    if answer.exit_code == _NO_FOLDER:
        return None
    if answer.exit_code == _NO_RIGHT:
        raise BoardError(
            f"{transport.name}: {directory} may not be read",
            hint="log in as a user that may (often root), or change the folder's mode on the board",
        )
    if answer.exit_code != 0:
        raise BoardError(f"{transport.name}: {directory} cannot be listed: {last_line(answer.stderr)}")
    files: dict[str, RemoteFile] = {}
    others: list[tuple[str, str]] = []
    for line in answer.text.split("\n"):
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            others.append((line[:200], "not understood in the board's listing"))
            continue
        mode, name = int(match[1], 16), match[4]
        if "/" in name or name in (".", ".."):
            raise TransferError(f"{transport.name}: {directory} lists the impossible file name {name!r}")
        if stat.S_ISREG(mode):
            files[name] = RemoteFile(name, int(match[2]), int(match[3]))
        else:
            others.append((name, _kind(mode)))
    return Listing(directory, tuple(sorted(files.values(), key=lambda file: file.name)), tuple(sorted(others)))


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    return FOLDER if stat.S_ISDIR(mode) else "not a regular file"
