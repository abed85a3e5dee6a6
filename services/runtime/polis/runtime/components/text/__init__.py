"""Components that read and write texts, and the formats that texts are in."""
