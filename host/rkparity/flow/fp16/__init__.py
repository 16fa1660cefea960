"""Stage fp16: the original model against the simulator in FP16."""
