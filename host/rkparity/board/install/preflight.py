"""What a board is and has, found with a POSIX shell and busybox alone: no Python, no agent, nothing installed."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rkparity.board.link.process import last_line
from rkparity.board.link.transport import Transport
from rkparity.errors import BoardError

# Line by line `key=value`; a value never holds a line end. Where each fact comes from: the kernel's /proc and /sys, the
# device tree, and the version text inside the runtime library ("librknnrt version: 1.6.0 (..)": evidence 160_*).
_SCRIPT = r"""
say() { printf '%s=%s\n' "$1" "$(printf '%s' "$2" | tr -c ' -~' ' ')"; }
have() { command -v "$1" >/dev/null 2>&1; }
first() { for f in "$@"; do if [ -r "$f" ]; then head -n 1 "$f"; return; fi; done; }
say arch "$(uname -m)"
say kernel "$(uname -r)"
if [ -r /etc/os-release ]; then say system "$( . /etc/os-release; echo "$PRETTY_NAME")"; fi
if [ -n "$RKPARITY_VIRTUAL_BOARD" ]; then say chip "emulated $RKPARITY_VIRTUAL_BOARD"
elif [ -r /proc/device-tree/compatible ]; then
  c=/proc/device-tree/compatible
  say chip "$(tr '\000' '\n' < $c | grep '^rockchip,r[kv]' | tail -n 1 | sed 's/^rockchip,//')"
fi
say driver "$(first /sys/kernel/debug/rknpu/version /proc/debug/rknpu/version /sys/module/rknpu/version)"
dirs=$(printf '%s' "$LD_LIBRARY_PATH" | tr ':' ' ')
for d in $dirs /usr/lib /usr/lib/aarch64-linux-gnu /usr/lib/arm-linux-gnueabihf /usr/lib64 /lib /lib64 /usr/local/lib \
  /oem/usr/lib /vendor/lib64 /vendor/lib /system/lib64 /system/lib; do
  for n in librknnrt.so librknnmrt.so; do
    if [ -z "$lib" ] && [ -f "$d/$n" ]; then lib=$d/$n; fi
  done
done
if [ -f "$RKPARITY_LIBRKNNRT" ]; then lib=$RKPARITY_LIBRKNNRT; fi
say runtime_path "$lib"
if [ -r "$lib" ]; then
  v=$(tr -c ' -~' '\n' < "$lib" | grep -E 'librknnm?rt version: *[0-9]' | head -n 1)
  say runtime "${v##*version: }"
  v=
fi
for p in python3 python; do
  if [ -z "$py" ] && have $p; then
    v=$($p -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) && py=$p
  fi
done
say python_path "$(command -v "$py" 2>/dev/null)"
say python "$v"
c=
if have getconf; then c=$(getconf GNU_LIBC_VERSION 2>/dev/null); fi
if [ -z "$c" ] && have ldd; then c=$(ldd --version 2>&1 | head -n 1); fi
say libc "$c"
w=@WORK@
if [ -z "$w" ]; then w="$HOME/.cache/rkparity"; fi
say work_dir "$w"
d=$w
while [ ! -e "$d" ] && [ "$d" != / ] && [ -n "$d" ]; do d=$(dirname "$d"); done
if [ -w "$d" ]; then say work_dir_writable yes; else say work_dir_writable no; fi
say free_kb "$(df -Pk "$d" 2>/dev/null | tail -n 1 | awk '{print $4}')"
for n in userdata data; do
  if [ ! -d /$n/dumps ]; then s=missing; elif [ -w /$n/dumps ]; then s=writable; else s='read-only'; fi
  say dumps_$n "$s"
done
say memory_kb "$(grep '^MemTotal:' /proc/meminfo 2>/dev/null | tr -dc 0-9)"
say memory_free_kb "$(grep '^MemAvailable:' /proc/meminfo 2>/dev/null | tr -dc 0-9)"
say clock "$(date +%s)"
r=no
for f in /proc/[0-9]*/comm; do
  n=$(cat "$f" 2>/dev/null)
  case $n in rknn_server*) r=yes;; esac
done
say rknn_server $r
for t in tar sha256sum openssl; do if have $t; then tools="$tools $t"; fi; done
say tools "$tools"
say end yes
"""


@dataclass(frozen=True)
class BoardInfo:
    """The facts; None or empty text where the board does not say.

    `clock_difference_s` is the board's clock minus this machine's. `dump_folders` maps /userdata/dumps and /data/dumps
    to "writable", "read-only" or "missing".
    """

    board: str
    arch: str
    kernel: str
    system: str
    chip: str
    driver: str
    runtime_path: str
    runtime: str
    python_path: str
    python: str
    libc: str
    work_dir: str
    work_dir_writable: bool
    free_nbytes: int | None
    memory_nbytes: int | None
    memory_free_nbytes: int | None
    clock_difference_s: int | None
    rknn_server: bool
    dump_folders: Mapping[str, str]
    tools: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The facts as plain JSON values, schema rkparity.board-info/1."""
        return {"schema": "rkparity.board-info/1", **asdict(self), "tools": list(self.tools)}

    @property
    def python_version(self) -> tuple[int, ...]:
        """The version of the board's Python as numbers, empty without Python."""
        return tuple(int(part) for part in self.python.split(".") if part.isdigit())


def inspect_board(transport: Transport, *, work_dir: str | None = None) -> BoardInfo:
    """Asks the board for all of it in one round trip; BoardError when its shell cannot answer."""
    before = time.time()
    answer = transport.run_script(_SCRIPT.replace("@WORK@", shlex.quote(work_dir or "")), limit_nbytes=1 << 20)
    after = time.time()
    values: dict[str, str] = {}
    for line in answer.text.splitlines():
        key, _, value = line.partition("=")
        values[key] = value.strip()
    if values.get("end") != "yes":
        raise BoardError(
            f"{transport.name}: the board's shell did not answer as a POSIX shell does: "
            f"{last_line(answer.stderr) or last_line(answer.text) or f'exit code {answer.exit_code}'}",
            hint="log in by hand and see whether `sh -s` works there",
        )

    def number(key: str, factor: int) -> int | None:
        text = values.get(key, "")
        return int(text) * factor if text.isdigit() else None

    clock = number("clock", 1)
    return BoardInfo(
        board=transport.name,
        arch=values.get("arch", ""),
        kernel=values.get("kernel", ""),
        system=values.get("system", ""),
        chip=values.get("chip", ""),
        driver=values.get("driver", ""),
        runtime_path=values.get("runtime_path", ""),
        runtime=values.get("runtime", ""),
        python_path=values.get("python_path", ""),
        python=values.get("python", ""),
        libc=values.get("libc", ""),
        work_dir=values.get("work_dir", ""),
        work_dir_writable=values.get("work_dir_writable") == "yes",
        free_nbytes=number("free_kb", 1024),
        memory_nbytes=number("memory_kb", 1024),
        memory_free_nbytes=number("memory_free_kb", 1024),
        clock_difference_s=None if clock is None else round(clock + 0.5 - (before + after) / 2),
        rknn_server=values.get("rknn_server") == "yes",
        dump_folders={f"/{name}/dumps": values.get(f"dumps_{name}", "missing") for name in ("userdata", "data")},
        tools=tuple(values.get("tools", "").split()),
    )


def check_board(info: BoardInfo, *, needed_nbytes: int) -> tuple[str, ...]:
    """Raises BoardError when a run cannot work on this board; returns sentences about what looks odd."""
    if not info.work_dir_writable:
        raise BoardError(
            f"{info.board}: {info.work_dir} cannot be written (read-only, or another user's)",
            hint="name another folder of the board: --work-dir /userdata/rkparity",
        )
    if info.free_nbytes is not None and info.free_nbytes < needed_nbytes:
        raise BoardError(
            f"{info.board}: {info.work_dir} has {info.free_nbytes} bytes free, the run needs about {needed_nbytes}",
            hint="free some space (`rkparity board clean BOARD` removes what rkparity left), or use --work-dir",
        )
    notes = []
    if not info.runtime_path:
        notes.append("no librknnrt.so was found in the usual folders of the board; use --library if it is elsewhere")
    if info.clock_difference_s is not None and abs(info.clock_difference_s) > 120:
        notes.append(
            f"the board's clock is off by {info.clock_difference_s} s; times in its logs are not this machine's"
        )
    return tuple(notes)
