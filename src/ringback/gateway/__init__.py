"""HTTP: submit, poll, list, health, metrics, login. Calls the applications with pages that are hung into it."""

from ringback.gateway.app import Gateway, Rules
from ringback.gateway.front_door import Front

__all__ = ["Front", "Gateway", "Rules"]
