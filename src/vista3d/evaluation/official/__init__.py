"""The rules of the released evaluation scripts, repeated so that published figures can be compared.

They are no user's: truth leaks into them, as each file says (facts 5.1-5.4). Windows are those of
the paper, 0.625 overlap with Gaussian weights, at the size and spacing of the model that is tried.
"""
