"""Webhooks on their way: signed, sent under one deadline, tried again on a schedule, written down."""

from ringback.deliver.dispatcher import Dispatcher
from ringback.deliver.sender import Dialling

__all__ = ["Dialling", "Dispatcher"]
