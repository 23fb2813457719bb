"""Results made readable: tables, a page of films, a dashboard.

Every report is a pure function of `BatchResults`, tested from literals. One file is one report;
`parts/` holds what they are put together from, and `templates/` their pages.
"""
