"""Relational distillation by hand."""

from __future__ import annotations

import math

import pytest
import torch

from search.training.distillation import similarity_distillation

TEACHER = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])


def test_the_same_relations_cost_nothing_whatever_the_dimension() -> None:
    turned = torch.cat([TEACHER[:, 1:], torch.zeros(3, 1), -TEACHER[:, :1]], dim=1)
    assert float(similarity_distillation(turned, TEACHER)) == pytest.approx(0, abs=1e-6)


def test_three_marks_by_hand() -> None:
    student = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])

    def kl(mine: tuple[float, float], other: tuple[float, float]) -> float:
        def softmax(pair: tuple[float, float]) -> list[float]:
            total = sum(math.exp(x) for x in pair)
            return [math.exp(x) / total for x in pair]

        return sum(a * math.log(a / b) for a, b in zip(softmax(other), softmax(mine), strict=True))

    wanted = [kl((0, 0), (0.6, 0.0)), kl((0, 1), (0.6, 0.8)), kl((0, 1), (0.0, 0.8))]
    assert float(similarity_distillation(student, TEACHER, temperature=1.0)) == pytest.approx(sum(wanted) / 3, rel=1e-5)


def test_only_the_student_learns() -> None:
    student = torch.nn.functional.normalize(torch.randn(5, 4), dim=1).requires_grad_()
    teacher = torch.nn.functional.normalize(torch.randn(5, 8), dim=1).requires_grad_()
    similarity_distillation(student, teacher).backward()
    assert student.grad is not None
    assert float(student.grad.abs().sum()) > 0
    assert teacher.grad is None


def test_two_marks_are_too_few() -> None:
    with pytest.raises(ValueError, match="three marks"):
        similarity_distillation(TEACHER[:2], TEACHER[:2])
