"""The documentation; `docs.build` keeps what it takes from the code up to date."""
