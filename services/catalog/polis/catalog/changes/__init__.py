"""Change sets: several resources changed together or not at all; and what makes an org out of nothing."""
