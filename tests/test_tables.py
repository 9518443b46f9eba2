"""Feature columns, their tables, and codes that don't belong to them."""

import pytest
import torch
from torch import nn

from molft.errors import MolftError
from molft.model.tables import add_tables, stack_tables, stacked_rows


def test_codes_become_rows_of_the_stacked_table() -> None:
    assert stacked_rows(torch.tensor([[5, 0], [119, 2]]), (120, 3), "atom").tolist() == [[5, 120], [119, 122]]


def test_stacked_table_is_the_tables_one_below_the_other() -> None:
    module = nn.Module()
    add_tables(module, "edge_embedding", (6, 3), 4)
    table = stack_tables(module, "edge_embedding", (6, 3))
    assert torch.equal(table[:6], module.edge_embedding1.weight)
    assert torch.equal(table[6:], module.edge_embedding2.weight)


def test_random_numbers_are_drawn_in_the_order_of_hu_et_al() -> None:
    torch.manual_seed(0)
    module = nn.Module()
    add_tables(module, "x_embedding", (120, 3), 300)
    torch.manual_seed(0)
    first, second = nn.Embedding(120, 300), nn.Embedding(3, 300)
    nn.init.xavier_uniform_(first.weight)
    nn.init.xavier_uniform_(second.weight)
    assert torch.equal(module.x_embedding1.weight, first.weight)
    assert torch.equal(module.x_embedding2.weight, second.weight)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([[5, 3]], "atom feature 1 has codes 3 to 3, but the encoder's table has rows 0 to 2"),
        ([[120, 0], [1, 0]], "atom feature 0 has codes 1 to 120"),
        ([[-1, 0]], "atom feature 0 has codes -1 to -1"),
        ([[5, 0, 0]], r"shape \(1, 3\), but the encoder expects 2 columns"),
        ([5, 0], r"shape \(2,\)"),
    ],
)
def test_codes_of_another_scheme_are_refused(codes: list[list[int]], message: str) -> None:
    with pytest.raises(MolftError, match=message):
        stacked_rows(torch.tensor(codes), (120, 3), "atom")
