"""The gateway: the public origin of the mesh. It owns no rows."""
