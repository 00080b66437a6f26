"""Logits that are no numbers, and whose fault it is. Whole trainings that go wrong are in the integration tests."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from crossfade.errors import TrainingError
from crossfade.training.guard import check_logits


@pytest.mark.parametrize(
    ("weight", "words"), [(torch.nan, "Got nan in the weight weight, which was not saved"), (1.0, "Got logits that")]
)
def test_logits_that_are_no_numbers_name_the_weight_if_it_is_to_blame(weight: float, words: str) -> None:
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, weight)
    with pytest.raises(TrainingError, match=words):
        check_logits(torch.tensor([[0.0, torch.inf]]), model)
    check_logits(torch.tensor([[0.0, 1e30]]), model)
