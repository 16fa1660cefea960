"""Several runs of one model: do they agree where they must, and differ where they must?"""
