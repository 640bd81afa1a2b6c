"""HTTP: submit, poll, list, health, metrics. The only floor that knows the web framework."""

from ringback.gateway.app import Gateway, Rules

__all__ = ["Gateway", "Rules"]
