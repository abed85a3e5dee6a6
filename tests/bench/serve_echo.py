"""`python -m tests.bench.serve_echo echo | gateway`; apart from the operation, whose module's name is its service's."""

from tests.bench.echo import main

main()
