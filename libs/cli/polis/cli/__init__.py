"""The `polis` command: a client of the public gateway, and a hand on the local mesh."""
