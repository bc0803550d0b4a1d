"""How long adapting and planning take on this machine: the command `bench`."""
