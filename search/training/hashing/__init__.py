"""Learning binary codes: what marks are hashed from, the losses of two papers, networks, recipes and training.

000 (thesis, "aggregated similarity capsule hashing"): capsules.py, centres.py, centre_losses.py, networks.py.
001 (patent, "depth feature consistent hash", read through IDHN): labels.py, pair_losses.py.

Everything is learnt on features that are computed once (features.py), so that a head costs minutes. What serves is a
`search.retrieval.hashing.HashHead`.
"""
