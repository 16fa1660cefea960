"""What a reference has to offer: a run on disk, or a view of a toolkit snapshot that looks like one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rkparity.runs.manifest import Manifest, TensorRecord

if TYPE_CHECKING:
    from numpy.typing import NDArray


class TensorSource(Protocol):
    """A run's manifest and its tensors; RunReader is one."""

    @property
    def path(self) -> Path:
        """The run's folder."""

    @property
    def manifest(self) -> Manifest:
        """What the run is and holds."""

    def file(self, name: str) -> Path:
        """The path of one of the run's files."""

    def tensor(self, record: TensorRecord) -> NDArray[Any]:
        """Maps one tensor; raises DataError if its file is damaged."""
