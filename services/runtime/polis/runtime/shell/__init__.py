"""What carries out what the engine asks for: the I/O of runs, and which process they belong to."""
