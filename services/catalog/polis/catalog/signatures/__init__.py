"""Keys of publishers, and the versions they vouch for."""
