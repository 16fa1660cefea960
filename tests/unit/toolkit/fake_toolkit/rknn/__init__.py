"""Stands in for rknn-toolkit2 in tests of the worker: fails in each of the ways the real one has."""
