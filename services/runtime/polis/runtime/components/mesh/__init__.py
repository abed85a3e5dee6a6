"""Components that reach the rest of the mesh."""
