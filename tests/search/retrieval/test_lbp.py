"""LBP by hand, and where a library's comparison differs from the paper's."""

import numpy as np
import pytest
import torch

from search.retrieval import lbp


def codes(rows):
    return lbp.codes(torch.tensor(rows, dtype=torch.uint8)[None, None])[0, 0].tolist()


def not_strict(maps):
    """The same windows with >= in place of >, as scikit-image's local_binary_pattern compares."""
    found = np.zeros((maps.shape[0] - 2, maps.shape[1] - 2), int)
    for y, x in np.ndindex(found.shape):
        window = maps[y : y + 3, x : x + 3]
        clockwise = (*window[0], window[1, 2], *window[2, ::-1], window[1, 0])
        found[y, x] = sum((neighbour >= window[1, 1]) << bit for bit, neighbour in enumerate(clockwise))
    return found


def test_neighbours_count_clockwise_from_the_top_left():
    assert codes([[9, 0, 0], [0, 5, 0], [0, 0, 0]]) == [[1]]
    assert codes([[0, 9, 0], [0, 5, 0], [0, 0, 0]]) == [[2]]
    assert codes([[0, 0, 9], [0, 5, 9], [0, 0, 0]]) == [[4 + 8]]
    assert codes([[0, 0, 0], [9, 5, 0], [9, 9, 9]]) == [[16 + 32 + 64 + 128]]


def test_an_equal_neighbour_counts_nothing():
    assert codes([[5, 5, 6], [4, 5, 5], [5, 7, 5]]) == [[4 + 32]]


def test_zeros_after_relu_are_code_0_where_a_library_gives_255():
    flat = np.zeros((6, 8), np.uint8)
    flat[2, 2] = 200
    strict, usual = np.array(codes(flat.tolist())), not_strict(flat)
    # Strict: the peak's eight neighbours see it, all else is 0. With >= all but the peak is 255: it leaves no trace.
    assert (strict == 0).sum() == 24 - 8 and len(np.unique(strict)) == 9
    assert usual[1, 1] == 0 and (usual == 255).sum() == 24 - 1
    ramp = np.arange(48, dtype=np.uint8).reshape(6, 8)
    np.testing.assert_array_equal(codes(ramp.tolist()), not_strict(ramp))  # without ties there is no difference


def test_58_uniform_codes_have_a_bin_each_and_the_rest_share_one():
    bins = lbp.UNIFORM
    assert bins.shape == (256,) and (bins == 58).sum() == 256 - 58
    assert sorted(bins[bins < 58].tolist()) == list(range(58))
    assert bins[0] == 0 and bins[0b11111111] == 57 and bins[0b00011100] < 58 and bins[0b10000001] < 58
    assert bins[0b01010000] == bins[0b10101010] == 58


def test_each_map_is_stretched_by_itself_and_a_constant_one_is_zero():
    maps = torch.tensor([[[0.0, 2.0], [1.0, 4.0]], [[7.0, 7.0], [7.0, 7.0]], [[-1.0, 0.0], [0.0, 1.0]]])
    assert lbp.scaled(maps).tolist() == [[[0, 128], [64, 255]], [[0, 0], [0, 0]], [[0, 128], [128, 255]]]


def test_a_histogram_by_hand():
    # One interior row of two pixels: 0 on the left has only the peak at its right above it (bit 3), the peak nothing.
    maps = torch.zeros(1, 2, 3, 4)
    maps[0, 0, 1, 2] = 3.0
    found = lbp.histograms(maps)
    assert found.shape == (1, 2, 59) and found.dtype == torch.float32
    expected = torch.zeros(59)
    expected[[0, int(lbp.UNIFORM[8])]] = 0.5
    torch.testing.assert_close(found[0, 0], expected)
    assert found[0, 1, 0] == 1  # the constant map


def test_maps_and_images_do_not_mix():
    maps = torch.rand(3, 4, 9, 7, generator=torch.Generator().manual_seed(0)).relu()
    together = lbp.histograms(maps)
    torch.testing.assert_close(together.sum(-1), torch.ones(3, 4))
    for n in range(3):
        for c in range(4):
            torch.testing.assert_close(lbp.histograms(maps[n : n + 1, c : c + 1])[0, 0], together[n, c])
    torch.testing.assert_close(lbp.cell_histograms(maps, 1)[:, 0], together.mean(1))


def test_the_layout_in_memory_does_not_matter():
    maps = torch.rand(2, 5, 8, 8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(lbp.histograms(maps.to(memory_format=torch.channels_last)), lbp.histograms(maps))


@pytest.mark.parametrize(("cell", "peak"), [(0, (1, 1)), (1, (1, 4)), (2, (4, 1)), (3, (4, 4))])
def test_cells_say_where(cell, peak):
    maps = torch.zeros(1, 1, 6, 6)
    maps[0, 0][peak] = 1.0
    found = lbp.cell_histograms(maps, 2)[0]
    torch.testing.assert_close(found.sum(-1), torch.ones(4))
    # The neighbours of a peak in a corner of the 4 x 4 interior that still lie in its 2 x 2 cell are three of four.
    assert found[:, 0].argmin() == cell and found[cell, 0] == 0.25
