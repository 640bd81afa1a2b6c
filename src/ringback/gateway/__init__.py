"""HTTP: submit, poll, list, health, metrics, login. Calls the applications with pages that are hung into it."""

from ringback.gateway.app import Gateway
from ringback.gateway.front_door import Front
from ringback.gateway.probes import Probes
from ringback.gateway.rules import Rules

__all__ = ["Front", "Gateway", "Probes", "Rules"]
