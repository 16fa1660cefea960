"""rknn-toolkit2 in its own interpreter; nothing else knows that it exists."""
