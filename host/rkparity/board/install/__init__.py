"""What rkparity needs on a board: kits, their folder, and what the board itself is."""
