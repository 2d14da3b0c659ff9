"""Binary codes of marks: a candidate stage that keeps 4 to 16 bytes a mark instead of a kilobyte.

A code is made from the stored `general` vector by a small head (head.py), so that another head needs a new snapshot
but no new description of the register. Heads that ship: weights/hash (heads.py). The index: engines/hamming.py.
"""

from search.retrieval.hashing.head import Codes, HashHead
from search.retrieval.hashing.heads import HASHES, load_head

__all__ = ["HASHES", "Codes", "HashHead", "load_head"]
