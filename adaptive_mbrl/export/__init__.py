"""A controller as a file that others run without this package.

| module | what it does |
|---|---|
| `step_program.py` | the control step, adapting included, as one program of PyTorch that keeps its own state |
| `model_program.py` | adapting and predicting alone, for ONNX |
| `tracing.py` | a function as plain operations, which both are made of |
| `contract.py` | what goes in and what comes out, in words that a reader of the file can use |
| `command.py` | the sub-command `export`, which writes the files |
"""
