import numpy as np

from search.retrieval.description import Description
from search.retrieval.description_file import pack, unpack
from tests.search.retrieval.pictures import random_description


def test_a_description_comes_back_bit_for_bit() -> None:
    made = random_description(np.random.default_rng(1), regions=3)
    del made.vectors["colour"]
    back = unpack(pack(made, "d1"), "d1")
    assert back is not None and set(back.vectors) == set(made.vectors) and back.size == made.size
    for name, vector in made.vectors.items():
        np.testing.assert_array_equal(back.vectors[name], vector)
    np.testing.assert_array_equal(back.regions, made.regions)
    np.testing.assert_array_equal(back.boxes, made.boxes)
    bare = unpack(pack(Description({}), "d1"), "d1")
    assert bare is not None and bare.vectors == {} and bare.regions.shape == (0, 0)


def test_other_descriptors_and_damage_mean_describe_again() -> None:
    data = pack(random_description(np.random.default_rng(1)), "d1")
    assert unpack(data, "d2") is None
    for broken in (b"", b"no archive", data[: len(data) // 2], data[:-200]):
        assert unpack(broken, "d1") is None
