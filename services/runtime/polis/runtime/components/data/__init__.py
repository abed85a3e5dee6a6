"""Components that work on lists, streams and objects."""
