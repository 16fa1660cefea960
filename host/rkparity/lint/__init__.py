"""What an application's calls to librknnrt say about its mistakes: rules over the validation layer's trace."""

from __future__ import annotations

from rkparity.lint.check import Lint, lint
from rkparity.lint.registry import RULES
from rkparity.lint.rule import Rule, Unchecked

__all__ = ["RULES", "Lint", "Rule", "Unchecked", "lint"]
