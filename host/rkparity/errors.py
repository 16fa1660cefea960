"""Everything that can go wrong and is not rkparity's own fault: one tree, each error with a hint and an exit code."""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """What every rkparity command returns to the shell."""

    PASS = 0
    DIVERGENCE = 1
    """Something was compared and differs by more than its threshold."""
    USAGE = 2
    """The command, a file it was given or a value in one of them is wrong."""
    ENVIRONMENT = 3
    """The board, the toolkit, the network or the disk failed, or data arrived damaged or incomplete."""


class RkparityError(Exception):
    """An expected failure: printed as one line and a hint, never as a traceback.

    `message` names the file, field and value concerned; `hint` is the next step for the user.
    """

    exit_code = ExitCode.ENVIRONMENT

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(RkparityError):
    """An argument that cannot be used: no such file, a contradiction between options, a wrong kind of file."""

    exit_code = ExitCode.USAGE


class ConfigError(UsageError):
    """A configuration or threshold file that says something unknown or impossible."""


class DataError(RkparityError):
    """A file of a run, a dump or a model that is damaged, truncated or not what its name says."""


class ToolkitError(RkparityError):
    """rknn-toolkit2 refused, failed or died; carries the toolkit's own last line."""


class MissingPackageError(ToolkitError):
    """The toolkit's environment lacks a framework that was asked for; the message says what to run."""


class ToolkitTimeoutError(ToolkitError):
    """A job of rknn-toolkit2 was ended, or not begun, because its time was over."""


class BoardError(RkparityError):
    """The board or the way to it failed."""


class ConnectionFailed(BoardError):
    """No connection: unreachable, refused, lost."""


class HostKeyError(ConnectionFailed):
    """The board's SSH host key is unknown or has changed."""


class LoginRefused(ConnectionFailed):
    """The board refused every way of logging in."""


class AgentError(BoardError):
    """The device agent reported an error, died, or said something that is not its protocol."""


class TransferError(BoardError):
    """Files did not arrive whole."""
