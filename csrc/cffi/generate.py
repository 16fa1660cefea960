"""Writes the C source of the extension module `rkparity_agent._native` from the declaration files.

Each `csrc/<part>/<name>.cdef` holds the functions and structs that Python may see of `csrc/<part>/<name>.h`. A cdef
file is given to cffi as it stands; the header of the same name is what the generated C includes, so the compiler checks
one against the other.

Usage: generate.py OUTPUT.c FILE.cdef [FILE.cdef ...]
"""

from __future__ import annotations

import sys
from pathlib import Path

from cffi import FFI


def main(arguments: list[str]) -> int:
    output, *names = [Path(argument) for argument in arguments]
    ffi = FFI()
    includes = []
    # The ABI's types come first: the other declaration files use them.
    for path in sorted(names, key=lambda path: (path.parent.name != "abi", path.parent.name, path.name)):
        ffi.cdef(path.read_text(encoding="utf-8"))
        includes.append(f'#include "{path.parent.name}/{path.stem}.h"')
    ffi.set_source("rkparity_agent._native", "\n".join(includes))
    ffi.emit_c_code(str(output))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
