"""What holds for every test."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Gives SIGINT its usual meaning back, for this process and the ones that tests start.

    A shell without job control starts background commands with SIGINT ignored, and Python then leaves it so: the tests
    that send Ctrl-C to a program would wait for it to end.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
