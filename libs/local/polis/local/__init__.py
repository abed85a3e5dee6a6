"""The mesh on one machine: PostgreSQL and NATS from wheels, every service as a process, one supervisor over all."""
