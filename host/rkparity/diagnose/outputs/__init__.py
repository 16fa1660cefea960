"""What an application made of the runtime's outputs: its values against the OutputOperator dump or the simulator."""
