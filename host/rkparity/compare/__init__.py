"""Run against run: names, alignment, scores, verdicts."""
