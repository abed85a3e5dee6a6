"""How long runs are kept: the org's policy, deleting one, and the sweep that deletes by age and size."""
