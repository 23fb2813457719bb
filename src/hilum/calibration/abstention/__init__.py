"""Rule-out and abstention: the largest score below which few findings are missed, with a bound.

`bounds` has the tests of one miss rate, `thresholds` walks from safe to bold with them, `scores`
makes one number of a film's findings, and `fit` makes the rule of films.
"""
