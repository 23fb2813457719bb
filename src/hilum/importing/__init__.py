"""Published weights to a run folder: files are read without running a byte of them.

`read_weights` gives the tensors of a file; a profile says what the file does not; `import_weights`
writes the run, on which calibrate, evaluate, compare and bundle work as on one that was trained.
"""
