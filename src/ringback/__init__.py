"""Ringback: long Python work behind HTTP, that rings you back when it is done."""

from ringback.core.errors import RingbackError, VerificationError
from ringback.core.signing import verify

__version__ = "0.1.0"
__all__ = ["RingbackError", "VerificationError", "__version__", "verify"]
