"""HTTP API and review: films come in, results and readings go out, and books are kept.

The room translates and keeps books; it does no arithmetic of its own. Films are scored by what the
batch uses for one film, and read in confined processes. Nothing above `store` knows SQL.
"""
