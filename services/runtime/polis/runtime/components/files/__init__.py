"""Components that read and write files of the org, each in a process of its own where strangers' bytes are parsed."""
