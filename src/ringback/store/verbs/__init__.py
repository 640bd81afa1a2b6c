"""What the verbs of the contract do, in SQL that both databases speak; each backend brings a session of its own."""
