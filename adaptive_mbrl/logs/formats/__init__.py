"""One file per format of logs: each opens a file as `Columns`, whose arrays are read when they are asked for."""
