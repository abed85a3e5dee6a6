"""The one way out of the mesh for what runs do: to public addresses, and to those that an operator allows."""
