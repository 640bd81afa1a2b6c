"""Webhooks on their way: signed, sent under one deadline, tried again on a schedule, written down."""

from ringback.deliver.dispatcher import Dispatcher

__all__ = ["Dispatcher"]
