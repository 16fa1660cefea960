"""The shell scripts that run a program on a board: POSIX sh as busybox and dash have it, nothing else.

`supervise.sh` starts `launch.sh` in a session of its own, waits for it, and ends the whole process group when the time
is up, or when its standard input ends, which it does when the host closes it or the connection is lost.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence

SUPERVISOR = "supervise.sh"
LAUNCHER = "launch.sh"
STDOUT, STDERR = "stdout.txt", "stderr.txt"
# What the supervisor says on its standard output.
STARTED, ENDED = "rkparity-app-started", "rkparity-app-ended"
TIMED_OUT = "timed-out"
NO_FOLDER, NO_CWD = 66, 67

# The group is gone when nobody can be signalled any more; setsid makes the program's number the group's.
_END = """end() {
  kill -TERM "-$p" 2>/dev/null || kill -TERM "$p" 2>/dev/null || return 0
  i=0
  while [ $i -lt 3 ]; do
    sleep 1
    kill -0 "-$p" 2>/dev/null || kill -0 "$p" 2>/dev/null || return 0
    i=$((i+1))
  done
  kill -KILL "-$p" 2>/dev/null || kill -KILL "$p" 2>/dev/null
}
"""


def launcher(argv: Sequence[str], cwd: str, environment: Mapping[str, str], layer: str | None) -> str:
    """`launch.sh`: sets working folder and environment and becomes the program."""
    lines = [f"cd {shlex.quote(cwd)} || exit {NO_CWD}"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    if layer is not None:
        lines += _preload(layer)
    lines.append("exec " + " ".join(shlex.quote(word) for word in argv))
    return "\n".join(lines) + "\n"


def _preload(layer: str) -> list[str]:
    """Set last, so that no helper of the script loads the layer; before what the user preloads already."""
    folder, _, name = layer.rpartition("/")
    if not any(char.isspace() for char in folder):
        folder, name = "", layer
    # ld.so takes a space in LD_PRELOAD for a separator, in LD_LIBRARY_PATH not.
    lines = [f'export LD_PRELOAD={shlex.quote(name)}"${{LD_PRELOAD:+:$LD_PRELOAD}}"']
    if folder:
        lines.append(f'export LD_LIBRARY_PATH={shlex.quote(folder)}"${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"')
    return lines


def can_preload(folder: str) -> bool:
    """Whether a library in `folder` can be named to ld.so at all: colons and semicolons separate there."""
    return not set(folder) & set(":;")


def supervisor(folder: str, *, timeout_s: float | None, watches_stdin: bool) -> str:
    """`supervise.sh` for a run folder; `watches_stdin` where standard input stays open until the host ends it."""
    f = shlex.quote(folder)
    script = f"""cd {f} || exit {NO_FOLDER}
exec 3<&0 </dev/null
s=
if command -v setsid >/dev/null 2>&1; then s=setsid; fi
$s sh ./{LAUNCHER} >outputs/{STDOUT} 2>outputs/{STDERR} </dev/null 3<&- &
p=$!
echo "$p" >app.pid
echo "{STARTED} $p"
{_END}"""
    helpers = []
    if timeout_s is not None:
        # Whole seconds in steps of one: busybox's sleep may know no fractions, and nothing is left over at the end.
        script += f"""(
  n=0
  while [ $n -lt {math.ceil(timeout_s)} ]; do
    sleep 1
    kill -0 "$p" 2>/dev/null || exit 0
    n=$((n+1))
  done
  : >{TIMED_OUT}
  end
) >/dev/null 2>&1 3<&- &
t=$!
"""
        helpers.append("$t")
    if watches_stdin:
        script += """(
  while read -r x <&3; do :; done
  end
) >/dev/null 2>&1 &
w=$!
"""
        helpers.append("$w")
    script += 'wait "$p"\nc=$?\n'
    if helpers:
        script += f"kill {' '.join(helpers)} 2>/dev/null\n"
    # A child that the program left behind would go on writing dumps.
    return (
        script
        + f"""kill -TERM "-$p" 2>/dev/null && sleep 1 && kill -KILL "-$p" 2>/dev/null
if [ -f {TIMED_OUT} ]; then o=1; else o=0; fi
echo "{ENDED} $c $o"
exit 0
"""
    )


def stopper(folder: str) -> str:
    """Ends the program started in `folder`, from outside its supervisor."""
    return f"""cd {shlex.quote(folder)} 2>/dev/null || exit 0
read p <app.pid || exit 0
{_END}end
exit 0
"""
