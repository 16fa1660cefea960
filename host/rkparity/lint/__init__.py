"""What an application's calls to librknnrt say about its mistakes: rules over the validation layer's trace."""

from __future__ import annotations

from rkparity.lint.check import Lint, lint
from rkparity.lint.findings import Finding, Rule, Severity, Unchecked
from rkparity.lint.registry import RULES

__all__ = ["RULES", "Finding", "Lint", "Rule", "Severity", "Unchecked", "lint"]
