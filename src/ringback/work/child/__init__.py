"""The process that runs user code. Standard library only, so that it works in an API's own virtual environment.

Run by path (`python -P …/child/__main__.py`), never imported by name there: its modules must not stand in the
way of the user's. It cannot reach the store; all it knows comes over one socket.
"""
