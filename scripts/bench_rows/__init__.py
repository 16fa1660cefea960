"""The rows of scripts/bench, one module each: measure(work) makes its data in the folder `work` and returns rows."""
