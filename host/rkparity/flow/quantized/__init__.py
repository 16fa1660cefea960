"""Stage quantized: why a quantised model is less accurate than its float original, and the smallest repair."""
