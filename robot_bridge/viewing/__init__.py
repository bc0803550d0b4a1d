"""The live page of a bridge: what its topics say, and buttons that call its services."""
