"""The books of a service in one SQLite file: films, results, readings, tokens, and an audit trail.

A write is one transaction in the one writer thread, and on the disk when it returns. Whatever
changes a film is also an event of a hash chain, in the same transaction.
"""
