"""Composes the parts: settings and file in, a running server out; order of start and stop; signals."""
