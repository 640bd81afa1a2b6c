"""The house's own chores: staying a member, taking over from dead ones, erasing what is over."""

from ringback.upkeep.keeper import Keeper

__all__ = ["Keeper"]
