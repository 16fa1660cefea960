"""The compiled module: cffi's two names; what they hold is declared in csrc/*/*.cdef."""

from typing import Any

ffi: Any
lib: Any
