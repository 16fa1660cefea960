"""The recorded experiments and the models they ran, from the archives in tests/data/fidelity."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fidelity.transcript import Transcript, parse_transcript

DATA = Path(__file__).resolve().parent.parent / "data" / "fidelity"
_MAX_MEMBER_NBYTES = 1 << 20
_MAX_MEMBERS = 5000
# The recording machine's absolute folder; its log shows it as `dd1`.
_RECORDED_FOLDER = "/scratch/rkqemu/"


@dataclass(frozen=True)
class RecordedDump:
    """A file the real library wrote: `file` is its path, `header` its text from `{` to the newline (empty: no npy).

    `sha256` is of the whole file, where only that was kept of it; else empty.
    """

    file: str
    nbytes: int
    header: str
    sha256: str = ""


@dataclass(frozen=True)
class Experiment:
    """What was done to the real library and what it answered; `folder` holds `io/` and `dumps/`."""

    name: str
    folder: Path
    library: str
    model: str
    environment: Mapping[str, str]
    calls: tuple[str, ...]
    dumps: tuple[RecordedDump, ...]
    transcript: Transcript
    driver: str = "driver"  # the C program that plays its calls

    @property
    def version(self) -> str:
        """The library's version, such as `1.6.0`."""
        return self.library.split()[1]

    @property
    def mini(self) -> bool:
        """Recorded on the mini runtime of RV1103 and RV1106."""
        return self.library.startswith("librknnmrt")


def unpack(archive: str, folder: Path) -> Path:
    """Unpacks `archive` below `folder`: plain files of bounded size and number, no way out of the folder."""
    with tarfile.open(DATA / archive, "r:xz") as tar:
        for count, member in enumerate(tar):
            path = PurePosixPath(member.name)
            if not member.isfile() or path.is_absolute() or ".." in path.parts:
                raise ValueError(f"{archive}: {member.name} is no plain file below the archive's root")
            if member.size > _MAX_MEMBER_NBYTES or count >= _MAX_MEMBERS:
                raise ValueError(f"{archive}: {member.name}: {member.size} bytes, member {count}: more than expected")
            source = tar.extractfile(member)
            assert source is not None
            target = folder.joinpath(*path.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read())
    return folder


def read_experiment(folder: Path) -> Experiment:
    """One experiment's folder."""
    record = json.loads((folder / "experiment.json").read_text(encoding="utf-8"))
    log = (folder / "log.txt").read_text(encoding="utf-8", errors="replace")
    return Experiment(
        name=record["name"],
        folder=folder,
        library=record["library"],
        model=record["model"],
        environment=record["env"],
        calls=tuple(call.replace(_RECORDED_FOLDER, "") for call in record["calls"]),
        dumps=tuple(
            RecordedDump(
                item["file"], item["bytes"], item.get("header", "").replace("\\n", "\n"), item.get("sha256", "")
            )
            for item in record["dumps"]
        ),
        transcript=parse_transcript(log),
        driver=record.get("driver", "driver"),
    )


def read_experiments(root: Path) -> tuple[Experiment, ...]:
    """Every experiment below `root`, by name."""
    return tuple(read_experiment(path.parent) for path in sorted(root.glob("*/experiment.json")))
