"""Time that may be spent, shown and kept to."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Budget:
    """`seconds` from when it was made."""

    seconds: float
    start: float = field(default_factory=time.monotonic)

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.start

    @property
    def left(self) -> float:
        """Seconds left, at least 0."""
        return max(self.seconds - self.spent, 0.0)

    @property
    def deadline(self) -> float:
        """When it ends, on the clock of `time.monotonic`."""
        return self.start + self.seconds

    def part(self, share: float) -> Budget:
        """A budget of a share of what is left, starting now."""
        return Budget(self.left * share)
