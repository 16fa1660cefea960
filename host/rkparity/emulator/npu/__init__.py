"""The stand-in NPU's host side: reads what the vendor's library submits and writes the simulator's values in place."""
