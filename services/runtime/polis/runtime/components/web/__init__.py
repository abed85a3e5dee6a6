"""Components that ask hosts outside."""
