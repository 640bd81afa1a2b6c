"""Runs workloads: replicas as processes, fed from the store, whose outcomes go back into it."""
