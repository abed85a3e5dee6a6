"""WebSocket as RFC 6455 has it, by hand: frames, their reader, the handshake, and the protocol of one connection.

It knows bytes and bounds, and nothing of topics or tokens: what is said is the business of a session (session.py). No
extension is negotiated; permessage-deflate would cost each client its own window and each frame its own bytes.
"""
