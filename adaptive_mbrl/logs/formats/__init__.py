"""One file per format of logs: each opens a file as a mapping from names to arrays, which are read when they are asked for."""
