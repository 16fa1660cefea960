"""What runs under rknn-toolkit2's own interpreter; nothing in here imports rkparity, and rkparity imports none of it."""
