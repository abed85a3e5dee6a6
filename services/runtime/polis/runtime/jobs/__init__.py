"""Jobs: waits of components that are executed outside, claimed by workers under leases and tokens."""
