"""The float reference: the model in its own framework."""
