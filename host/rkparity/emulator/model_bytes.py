"""By what the emulator recognises a model: the digest of its file, or of the part that librknnrt reads."""

from __future__ import annotations

import hashlib

# Begins the digest of a file without the toolkit's record behind the model, for rknn_init with a size that cuts it off.
CORE_PREFIX = "core:"
_MAGIC, _HEADER_NBYTES, _LENGTH = b"RKNN", 64, slice(16, 24)


def core_digest(data: bytes | bytearray) -> str:
    """CORE_PREFIX and the SHA-256 of header and model, without what the toolkit appends to them."""
    core = len(data)
    if data[:4] == _MAGIC and len(data) >= _HEADER_NBYTES:
        core = min(core, _HEADER_NBYTES + int.from_bytes(data[_LENGTH], "little"))
    return CORE_PREFIX + hashlib.sha256(memoryview(data)[:core]).hexdigest()


def has_digest(data: bytes, digest: str) -> bool:
    """Whether a file with these bytes is the one `digest` is of."""
    return (core_digest(data) if digest.startswith(CORE_PREFIX) else hashlib.sha256(data).hexdigest()) == digest
