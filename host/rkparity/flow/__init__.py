"""The parts joined: what takes the toolkit, a board and comparisons at once."""
