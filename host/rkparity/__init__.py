"""The PC side of rkparity."""

__version__ = "0.1.0"
