"""The only shared state: a contract of numbered promises and the backends that keep them."""
