"""Files between the host and a board: listed, fetched, pushed, verified, resumed."""
