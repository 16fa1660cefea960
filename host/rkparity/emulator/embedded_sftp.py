"""The embedded SSH server's files: what SFTP clients of the virtual board see."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import paramiko
from paramiko import SFTPAttributes
from paramiko.sftp import SFTP_FAILURE, SFTP_OK


class BoardFiles(paramiko.SFTPServerInterface):
    """This machine's files, as the user running the server may see them; relative paths begin at the board's home."""

    def __init__(self, server: paramiko.ServerInterface, home: Path, *arguments: Any, **options: Any) -> None:
        super().__init__(server, *arguments, **options)
        self._home = home

    def _real(self, path: str) -> Path:
        return self._home / path

    def canonicalize(self, path: str) -> str:
        """The absolute path."""
        return os.path.normpath(self._real(path))

    def list_folder(self, path: str) -> Any:
        """A folder's entries with their attributes."""
        try:
            return [
                SFTPAttributes.from_stat(entry.stat(follow_symlinks=False), entry.name)
                for entry in os.scandir(self._real(path))
            ]
        except OSError as error:
            return _status(error)

    def stat(self, path: str) -> Any:
        """Attributes, links followed."""
        try:
            return SFTPAttributes.from_stat(self._real(path).stat())
        except OSError as error:
            return _status(error)

    def lstat(self, path: str) -> Any:
        """Attributes, links not followed."""
        try:
            return SFTPAttributes.from_stat(self._real(path).lstat())
        except OSError as error:
            return _status(error)

    def open(self, path: str, flags: int, attr: Any) -> Any:
        """Opens a file as the flags say."""
        try:
            mode = getattr(attr, "st_mode", None)
            fd = os.open(self._real(path), flags, 0o644 if mode is None else mode & 0o7777)
        except OSError as error:
            return _status(error)
        access = flags & (os.O_WRONLY | os.O_RDWR)
        kind = (
            "rb" if access == os.O_RDONLY else "r+b" if access == os.O_RDWR else "ab" if flags & os.O_APPEND else "wb"
        )
        file = os.fdopen(fd, kind)
        handle = paramiko.SFTPHandle(flags)
        handle.filename = path  # type: ignore[attr-defined]
        handle.readfile = file  # type: ignore[attr-defined]
        handle.writefile = file  # type: ignore[attr-defined]
        return handle

    def remove(self, path: str) -> int:
        """Removes a file."""
        return _done(lambda: self._real(path).unlink())

    def rename(self, oldpath: str, newpath: str) -> int:
        """Renames; refuses when the new name is taken, as SFTP version 3 says."""
        if os.path.lexists(self._real(newpath)):
            return SFTP_FAILURE
        return _done(lambda: self._real(oldpath).rename(self._real(newpath)))

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        """Renames over what is there."""
        return _done(lambda: self._real(oldpath).replace(self._real(newpath)))

    def mkdir(self, path: str, attr: Any) -> int:
        """Makes a folder."""
        return _done(lambda: self._real(path).mkdir())

    def rmdir(self, path: str) -> int:
        """Removes an empty folder."""
        return _done(lambda: self._real(path).rmdir())

    def chattr(self, path: str, attr: Any) -> int:
        """Changes a file's mode."""
        mode = getattr(attr, "st_mode", None)
        return SFTP_OK if mode is None else _done(lambda: self._real(path).chmod(mode & 0o7777))


def _status(error: OSError) -> int:
    return int(paramiko.SFTPServer.convert_errno(error.errno or 0))


def _done(action: Any) -> int:
    try:
        action()
    except OSError as error:
        return _status(error)
    return SFTP_OK
