"""For your own tests: a server in process whose time you wind by hand, and a receiver that does what it is told.

With pytest both come as fixtures, `ringback_server` and `ringback_receiver`; nothing needs to be imported.
"""

from ringback.testing.receiver import Answer, Hang, Received, Receiver, Reset
from ringback.testing.server import Server

__all__ = ["Answer", "Hang", "Received", "Receiver", "Reset", "Server"]
