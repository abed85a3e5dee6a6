"""Runs that runs start: begun once for each step, waited for, and cancelled when nobody waits for them any more."""
