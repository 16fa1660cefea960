"""The way to a board: transports, preflight, deployment, runs, pulls."""
