"""The retrieval engine: images in, ranked marks out. Pure: no Django, no Celery, no database.

    bytes -> imaging -> describe (normalise, encoders, descriptors) -> Description
    Descriptions -> vector_store -> snapshot (clusters, engines, calibration) -> searcher -> SearchAnswer

What is imported here is light; torch, FAISS and pyarrow load with the modules that use them.
"""

from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.fusion import fuse
from search.retrieval.imaging import ImageRefused, decode_image, decode_picture
from search.retrieval.parameters import ClusterParameters, Parameters
from search.retrieval.records import Filters, Hit, MarkRecord, SearchAnswer

__all__ = [
    "DESCRIPTORS",
    "ClusterParameters",
    "Filters",
    "Hit",
    "ImageRefused",
    "MarkRecord",
    "Parameters",
    "SearchAnswer",
    "decode_image",
    "decode_picture",
    "fuse",
]
