"""Results made readable: tables, a page of films, a dashboard, and films on the screen.

Every report is a pure function of `BatchResults`, tested from literals. One file is one report;
`printed/` holds the forms on the screen, one file each; `parts/` holds what all of these are put
together from, and `templates/` the pages.
"""
