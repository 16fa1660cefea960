"""Scores pairs of `.npy` files of any size in fixed memory, every file read once whatever is asked about it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rkparity.compare.chunks import CHUNK_NBYTES, ChunkReader
from rkparity.compare.kernels import (
    DEFAULT_OPTIONS,
    PairAccumulator,
    Quantization,
    ScoreOptions,
    ShapeMismatch,
    check_shapes,
    source_of,
)
from rkparity.compare.statistics import PairStatistics
from rkparity.errors import UsageError
from rkparity_agent._native import ffi, lib

_FIRST_ELEMENTS = 4096
_BUFFER_NBYTES = 512 * 1024
_ELEMENTS_PER_CALL = 1 << 28


@dataclass(frozen=True)
class TensorFile:
    """One `.npy` file to be scored; with `quantization` its integers are dequantised."""

    path: Path
    quantization: Quantization | None = None


def score_files(
    test: TensorFile | Path,
    reference: TensorFile | Path,
    options: ScoreOptions = DEFAULT_OPTIONS,
    *,
    ignore_unit_dims: bool = False,
) -> PairStatistics:
    """score_arrays on two `.npy` files, in fixed memory whatever their size.

    Raises DataError for a damaged file, ShapeMismatch, UsageError.
    """
    files = [file if isinstance(file, TensorFile) else TensorFile(file) for file in (test, reference)]
    return score_together(files, [(0, 1, options)], ignore_unit_dims=ignore_unit_dims)[0]


def score_together(
    files: Sequence[TensorFile], pairs: Sequence[tuple[int, int, ScoreOptions]], *, ignore_unit_dims: bool = False
) -> list[PairStatistics]:
    """Scores several pairs among `files`, each (test, reference, options) by position, reading every file once.

    Board against simulator, board against golden and simulator against golden cost three reads instead of six.
    Raises as score_files does.
    """
    return _score_read(files, pairs, ignore_unit_dims, None)


def begin_apart(test: TensorFile, reference: TensorFile, *, ignore_unit_dims: bool = False) -> bool:
    """Whether a value differs among the first few thousand of two files; raises as score_files does."""
    (stats,) = _score_read([test, reference], [(0, 1, DEFAULT_OPTIONS)], ignore_unit_dims, _FIRST_ELEMENTS)
    return stats.equal != stats.n


def _score_read(
    files: Sequence[TensorFile],
    pairs: Sequence[tuple[int, int, ScoreOptions]],
    ignore_unit_dims: bool,
    at_most: int | None,
) -> list[PairStatistics]:
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(ChunkReader(file.path)) for file in files]
        for test, reference, _ in pairs:
            check_shapes(
                readers[test].header.shape,
                readers[reference].header.shape,
                files[test].path,
                files[reference].path,
                ignore_unit_dims,
            )
        sources = [
            source_of(reader.header.descr[1:], file.quantization, file.path) for reader, file in zip(readers, files)
        ]
        native = [PairAccumulator(options, sources[test], sources[reference]) for test, reference, options in pairs]
        total = readers[0].size if readers else 0
        for reader in readers:
            if reader.size != total:
                raise ShapeMismatch(f"{reader.path}: {reader.size} elements, {readers[0].path} has {total}")
        total = total if at_most is None else min(total, at_most)
        if all(reader.is_plain for reader in readers):
            _score_plain(readers, sources, native, pairs, total)
        else:
            per_chunk = CHUNK_NBYTES // max((reader.header.itemsize for reader in readers), default=1)
            for start in range(0, total, per_chunk):
                count = min(per_chunk, total - start)
                chunks = [reader.next(count) for reader in readers]
                for pair, (test, reference, _) in zip(native, pairs):
                    pair.update(chunks[test], chunks[reference], count)
    return [pair.statistics() for pair in native]


class _Buffers(threading.local):
    """A thread's memory for pieces of files; small enough for the second-level cache of a desktop processor."""

    def __init__(self) -> None:
        self.memory = ffi.new("double[]", _BUFFER_NBYTES // 8)


_buffers = _Buffers()


def _score_plain(
    readers: Sequence[ChunkReader],
    sources: Sequence[Any],
    native: Sequence[PairAccumulator],
    pairs: Sequence[tuple[int, int, ScoreOptions]],
    total: int,
) -> None:
    """The kernels read the files themselves."""
    files = ffi.new("struct rkp_file[]", len(readers))
    for file, reader, source in zip(files, readers, sources):
        file.fd, file.offset, file.source = reader.descriptor, reader.header.data_offset, source[0]
    links = ffi.new(
        "struct rkp_link[]", [(pair.handle, test, reference) for pair, (test, reference, _) in zip(native, pairs)]
    )
    # Ctrl-C is noticed between calls.
    for start in range(0, total, _ELEMENTS_PER_CALL):
        result = lib.rkp_score_files(
            files,
            len(readers),
            links,
            len(native),
            min(_ELEMENTS_PER_CALL, total - start),
            _buffers.memory,
            _BUFFER_NBYTES,
        )
        if result == lib.RKP_FILE_FAILED:
            raise next(reader.failed(file.error) for file, reader in zip(files, readers) if file.error)
        if result != lib.RKP_FILES_SCORED:
            raise UsageError("the tensors' types cannot be scored")
