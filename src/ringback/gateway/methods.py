"""What is let through to a route, which then says itself what it takes."""

from __future__ import annotations

from typing import Final

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
