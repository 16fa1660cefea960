"""Stage runtime: the user's own program on the board."""
