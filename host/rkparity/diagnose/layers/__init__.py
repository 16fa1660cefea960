"""Where layers stop agreeing and why: one small module per kind of cause, all over the same measured facts."""
