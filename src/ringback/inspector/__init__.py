"""Inboxes that capture any request, for looking at: what came, whether it verifies, and how a sender takes failure.

A part beside gateway and dashboard: meets the sender of webhooks in the store, and nowhere else.
"""

from ringback.inspector.app import Inspector, Reach
from ringback.inspector.wire import WIRE, Wire

__all__ = ["WIRE", "Inspector", "Reach", "Wire"]
