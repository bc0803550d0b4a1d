"""Which physical parameters of a simulated robot its belief can be asked for, and how well it knows them."""
