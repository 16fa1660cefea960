"""Stage connected: the toolkit's own analysis of a board, fed with our dumps."""
