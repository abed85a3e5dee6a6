"""One run of a program as a state machine without I/O."""
