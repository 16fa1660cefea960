"""The virtual board: the emulated runtime's server side and its SSH server."""
