"""The HTTP face. Only here is the web framework known, and only `problems` knows status codes."""
