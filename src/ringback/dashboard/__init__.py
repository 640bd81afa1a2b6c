"""The dashboard: everything the server does, on pages. Reads the store; asks the control plane for what it changes."""

from ringback.dashboard.app import Dashboard
from ringback.dashboard.hour import Hour, Reading, Tally

__all__ = ["Dashboard", "Hour", "Reading", "Tally"]
