"""Real marks from the npm package `@iconify/json`: reading, naming, rendering and choosing them."""

from benchmarks.iconify.families import Families, load_families, load_reserved
from benchmarks.iconify.metadata import Titles, register_rows
from benchmarks.iconify.names import BrandFilter, brand_key
from benchmarks.iconify.package import PINNED_VERSION, IconPackage, Pack, PackageError, open_package
from benchmarks.iconify.render import RECIPE_VERSION, render_mark, svg_document
from benchmarks.iconify.select import BRAND_PACKS, WITHHELD_PACKS, kept_from_training, pool_candidates

__all__ = [
    "BRAND_PACKS",
    "PINNED_VERSION",
    "RECIPE_VERSION",
    "WITHHELD_PACKS",
    "BrandFilter",
    "Families",
    "IconPackage",
    "Pack",
    "PackageError",
    "Titles",
    "brand_key",
    "kept_from_training",
    "load_families",
    "load_reserved",
    "open_package",
    "pool_candidates",
    "register_rows",
    "render_mark",
    "svg_document",
]
