"""Asks: what runs need of people. An ask is a wait whose outcome somebody who is addressed brings."""
