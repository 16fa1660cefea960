"""The board side of rkparity: standard library and one compiled module, nothing else."""

__version__ = "0.1.0"
