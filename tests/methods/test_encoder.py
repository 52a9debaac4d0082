"""Encoder: unit embeddings, the projector of the paper, and the momentum update."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqco.methods import MoCo, SimCLR, SiMo, SynCo
from eqco.methods.base import Method
from eqco.methods.encoder import (
    Encoder,
    bn_projector,
    build_encoder,
    frozen_copy,
    momentum_update,
    torchvision_resnet,
)

SMALL = ("tiny-gray", "small-gray", "small-rgb", "resnet18-small-images")


@pytest.mark.parametrize("name", [*SMALL, "resnet18"])
def test_an_encoder_turns_images_into_unit_embeddings(
    name: str, generator: torch.Generator
) -> None:
    channels = 1 if name.endswith("gray") else 3
    encoder = build_encoder(name, embedding_dim=16, seed=0)
    embedding = encoder(torch.rand(4, channels, 32, 32, generator=generator))
    assert embedding.shape == (4, 16)
    assert embedding.dtype == torch.float32
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(4))
    features = encoder.backbone(torch.zeros(2, channels, 32, 32))
    assert features.shape == (2, encoder.backbone.num_features)


@pytest.mark.parametrize(
    ("small_images", "side"), [(True, 4), (False, 1)], ids=["small-images", "imagenet"]
)
def test_the_stem_for_small_images_keeps_more_of_them(small_images: bool, side: int) -> None:
    """A 32-pixel image leaves three halvings as 4 pixels, and the ImageNet stem's five as 1."""
    backbone = torchvision_resnet("resnet18", small_images=small_images).eval()
    sides = []
    backbone.layer4.register_forward_hook(lambda _, __, maps: sides.append(maps.shape[-1]))
    backbone(torch.zeros(1, 3, 32, 32))
    assert sides == [side]


def test_the_embedding_is_float32_under_autocast(generator: torch.Generator) -> None:
    encoder = build_encoder("tiny-gray", embedding_dim=16, seed=0)
    with torch.autocast("cpu", torch.bfloat16):
        embedding = encoder(torch.rand(4, 1, 24, 24, generator=generator))
    assert embedding.dtype == torch.float32
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(4))


def test_the_projector_is_that_of_the_released_simo() -> None:
    """Linear - BN - ReLU - Linear - BN without biases, weights N(0, 0.01): their configuration."""
    head = bn_projector(256, 128)
    kinds = [type(layer) for layer in head]
    assert kinds == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear, nn.BatchNorm1d]
    for linear, shape in ((head[0], (256, 256)), (head[3], (128, 256))):
        assert linear.bias is None
        assert linear.weight.shape == shape
        assert linear.weight.std().item() == pytest.approx(0.01, rel=0.05)
        assert abs(linear.weight.mean().item()) < 0.0005


def test_the_same_seed_gives_the_same_weights_and_spares_the_global_generator() -> None:
    before = torch.random.get_rng_state()
    one, same, other = (build_encoder("tiny-gray", 16, seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    pairs = zip(one.parameters(), same.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(one.projector[0].weight, other.projector[0].weight)


def test_the_key_encoder_starts_as_a_frozen_copy_of_its_own() -> None:
    encoder = build_encoder("tiny-gray", 16, seed=0)
    copy = frozen_copy(encoder)
    for own, copied in zip(encoder.parameters(), copy.parameters(), strict=True):
        assert torch.equal(own, copied)
        assert own.data_ptr() != copied.data_ptr()
        assert own.requires_grad
        assert not copied.requires_grad


def test_the_moving_average_weighs_later_steps_more() -> None:
    """A query encoder that moves: key = m^n start + (1 - m) sum_j m^(n - j) query_j."""
    query, key = (nn.Linear(2, 1, bias=False).double() for _ in range(2))
    start, path, momentum = key.weight.clone(), torch.randn(5, 1, 2, dtype=torch.float64), 0.9
    for place in path:
        query.weight.data.copy_(place)
        momentum_update(query, key, momentum)
    weights = [(1 - momentum) * momentum ** (4 - j) for j in range(5)]
    expected = momentum**5 * start + sum(w * q for w, q in zip(weights, path, strict=True))
    torch.testing.assert_close(key.weight, expected)


def test_the_momentum_update_moves_no_buffer_and_no_query() -> None:
    encoder: Encoder = build_encoder("tiny-gray", 16, seed=0)
    other = frozen_copy(build_encoder("tiny-gray", 16, seed=1))
    encoder(torch.rand(4, 1, 24, 24))  # moves the running means of the query encoder alone
    queries = [each.clone() for each in encoder.parameters()]
    buffers = [each.clone() for each in other.buffers()]
    momentum_update(encoder, other, 0.5)
    assert all(torch.equal(a, b) for a, b in zip(encoder.parameters(), queries, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(other.buffers(), buffers, strict=True))


# Encoders of one's own, given to the methods.


class Normalised(nn.Sequential):
    """A sequence that ends with length 1, as the README of the methods asks."""

    embedding_dim = 8

    def forward(self, images: Tensor) -> Tensor:
        return F.normalize(super().forward(images), dim=1)


def layers() -> tuple[nn.Module, ...]:
    return nn.Flatten(), nn.Linear(3 * 4 * 4, 8)


MAKE = {
    "SiMo": lambda encoder: SiMo(encoder, num_negatives=3),
    "MoCo": lambda encoder: MoCo(encoder, num_negatives=3, queue_size=16, bn_splits=1),
    "SimCLR": lambda encoder: SimCLR(encoder, num_negatives=3),
}


@pytest.mark.parametrize("name", MAKE)
def test_a_normalised_encoder_works(name: str, generator: torch.Generator) -> None:
    images = torch.randn(2, 6, 3, 4, 4, generator=generator)
    found = MAKE[name](Normalised(*layers()))(*images, generator)
    assert found.positive.abs().max() <= 1 + 1e-6


WRONG_OUTPUTS: dict[str, tuple[Callable[[], tuple[nn.Module, ...]], str]] = {
    "lengths": (layers, "{} must return embeddings of length 1, got len"),
    "maps": (lambda: (nn.Conv2d(3, 8, 1),), r"must return embeddings \(N, D\), got \((6|12), 8, 4"),
}


@pytest.mark.parametrize("output", WRONG_OUTPUTS)
@pytest.mark.parametrize("name", MAKE)
def test_embeddings_of_other_lengths_or_shapes_are_named(
    name: str, output: str, generator: torch.Generator
) -> None:
    make, sentence = WRONG_OUTPUTS[output]
    encoder = nn.Sequential(*make())
    encoder.embedding_dim = 8
    images = 10 * torch.randn(2, 6, 3, 4, 4, generator=generator)
    with pytest.raises(ValueError, match=sentence.replace("{}", name)):
        MAKE[name](encoder)(*images, generator)


@pytest.mark.parametrize("generator", [0, None, "cpu"])
@pytest.mark.parametrize("name", MAKE)
def test_what_is_no_generator_is_named(name: str, generator: object) -> None:
    with pytest.raises(ValueError, match=rf"generator must be a torch.Generator.*{generator!r}"):
        MAKE[name](Normalised(*layers()))(*torch.zeros(2, 6, 3, 4, 4), generator)


def own(kind: type[Method], **settings: object) -> Method:
    """A method with an encoder of one's own."""
    return kind(Normalised(*layers()), **{"num_negatives": 3, **settings})  # type: ignore[arg-type]


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "dimension": (lambda: MAKE["MoCo"](nn.Sequential(*layers())), "encoder.embedding_dim = D, got"),
    "momentum": (lambda: own(SiMo, key_momentum=1.0), "key_momentum must lie in .* got 1.0"),
    "text as momentum": (lambda: own(SiMo, key_momentum="a"), "key_momentum must .* got 'a'"),
    "drawing": (lambda: own(SiMo, drawing="foo"), "unknown drawing 'foo'"),
    "K": (lambda: own(SiMo, num_negatives=2.0), "num_negatives must be a whole number"),
    "no module": (lambda: SiMo(len, num_negatives=3), "encoder must be a torch.nn.Module, got"),
    "backbone": (lambda: build_encoder("resnet51", 8, 0), "'resnet51': did you mean resnet50"),
    "projector": (lambda: build_encoder("small-gray", 8, 0, "bm"), "unknown projector 'bm'"),
    "splits": (lambda: own(MoCo, queue_size=9, bn_splits=0), "bn_splits must be a whole number"),
    "queue": (lambda: own(MoCo, queue_size=2), "num_negatives is 3, but the queue holds 2"),
    "synthetic": (lambda: own(SynCo, queue_size=9, num_synthetic=16), "is 16, .*a multiple of 15"),
    "draws": (lambda: own(SynCo, queue_size=9, draws=2), "draws=2 does not go with num_synthetic="),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_of_a_method_are_one_sentence(name: str) -> None:
    make, sentence = WRONG[name]
    with pytest.raises(ValueError, match=sentence):
        make()
