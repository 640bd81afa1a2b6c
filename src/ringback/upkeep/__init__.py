"""Keeps the house: heartbeats, takes over what the dead held, erases what is past its time."""
