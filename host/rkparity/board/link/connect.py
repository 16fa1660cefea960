"""The way to a board that was named: over SSH, through adb, or on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rkparity.board.link.target import AdbTarget, LocalTarget, SshTarget

if TYPE_CHECKING:
    from rkparity.board.link.transport import Transport


def connect(target: SshTarget | AdbTarget | LocalTarget) -> Transport:
    """Opens the way to the board; raises as the transport of that kind does."""
    if isinstance(target, SshTarget):
        from rkparity.board.link.ssh import SshTransport

        return SshTransport.connect(target)
    if isinstance(target, AdbTarget):
        from rkparity.board.link.adb import AdbTransport

        return AdbTransport.connect(target.serial)
    from rkparity.board.link.local import LocalTransport

    return LocalTransport(target.home)
