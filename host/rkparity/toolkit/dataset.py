"""The calibration list: read, checked, and made independent of the folder it is used from."""

from __future__ import annotations

from pathlib import Path

from rkparity.errors import UsageError


def prepare_dataset(dataset: Path, folder: Path) -> Path:
    """Writes a copy of `dataset` into the new `folder`, its files as links there; returns the copy.

    A relative name is looked for beside the list, then in the current directory. The links keep blanks in the folders'
    names away from the toolkit, which splits lines at blanks. UsageError names the line of a file that is not there and
    of a line with another number of files than the first.
    """
    folder.mkdir()
    lines = []
    count = 0
    for number, line in enumerate(_text_of(dataset).splitlines(), start=1):
        names = line.split()
        if not names:
            continue
        count = count or len(names)
        if len(names) != count:
            raise UsageError(
                f"{dataset}:{number}: has {len(names)} files, the first sample has {count}",
                hint="one line per sample, with the files of all inputs in the model's order",
            )
        links = []
        for index, name in enumerate(names):
            source = _find(name, dataset, number)
            link = folder / f"{number:05d}_{index}{source.suffix.lower()}"
            link.symlink_to(source)
            links.append(str(Path(folder.name) / link.name))
        lines.append(" ".join(links))
    if not lines:
        raise UsageError(f"{dataset}: is empty", hint="list one calibration sample a line")
    copy = folder.parent / f"{folder.name}.txt"
    copy.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return copy


def dataset_files(dataset: Path) -> list[Path]:
    """The files that a calibration list names, each once; UsageError as `prepare_dataset` does."""
    numbered = enumerate(_text_of(dataset).splitlines(), start=1)
    return list(dict.fromkeys(_find(name, dataset, number) for number, line in numbered for name in line.split()))


def _text_of(dataset: Path) -> str:
    try:
        return dataset.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{dataset}: cannot be read as a list of files: {error}") from error


def _find(name: str, dataset: Path, number: int) -> Path:
    for base in (dataset.parent, Path()):
        path = (base / name).resolve()
        if path.is_file():
            return path
    raise UsageError(f"{dataset}:{number}: {name} does not exist (looked beside the list and in the current directory)")
