"""The commands: one small module each; parse, call, render, return the exit code."""
