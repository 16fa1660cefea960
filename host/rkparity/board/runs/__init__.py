"""Runs on a board: of a model, of an application, or of dumps that are there already."""
