"""Replicas on other hosts: each in a Ray actor, spoken to over a line of our own."""

from __future__ import annotations

from ringback.work.cluster.engine import RayEngine, ray_engine

__all__ = ["RayEngine", "ray_engine"]
