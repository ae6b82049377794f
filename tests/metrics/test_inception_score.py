import numpy as np
import pytest

from tests.metrics.helpers import Pixels, random_images
from tfgen.metrics import FeatureExtractor, InceptionScore, inception_score


def test_of_images_that_all_look_alike():
    assert inception_score(np.full((50, 7), 1 / 7)) == (pytest.approx(1.0), pytest.approx(0.0))
    assert inception_score(np.eye(7)[np.zeros(50, int)])[0] == pytest.approx(1.0)


def test_of_certain_and_balanced_answers():
    assert inception_score(np.tile(np.eye(7), [10, 1])) == (pytest.approx(7.0), pytest.approx(0.0))


def test_a_hand_computed_score():
    probabilities = [[1.0, 0.0], [0.5, 0.5]]
    divergences = [np.log(1 / 0.75), 0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25)]
    value, std = inception_score(probabilities, splits=1)
    assert value == pytest.approx(np.exp(np.mean(divergences)), rel=1e-12)
    assert std == 0.0


def test_the_smallest_probabilities():
    certain, tiny = np.tile(np.eye(3), [4, 1]), 5e-324
    expected = inception_score(certain, splits=1)[0]
    for place in ((0, 1), (5, 0)):
        probabilities = np.hstack([certain, np.zeros([12, 1])])
        probabilities[place[0], 3] = tiny
        assert inception_score(probabilities, splits=1)[0] == pytest.approx(expected, rel=1e-12)
    single = np.array([[1.0, 1e-45], [1.0, 0.0]], np.float32)
    assert inception_score(single, splits=1)[0] == pytest.approx(1.0, rel=1e-6)


def test_splits_are_consecutive_parts():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), size=11)
    parts = [probabilities[:3], probabilities[3:7], probabilities[7:]]
    scores = [inception_score(part, splits=1)[0] for part in parts]
    assert inception_score(probabilities, splits=3) == pytest.approx(
        (np.mean(scores), np.std(scores))
    )


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (np.full((20, 4), 0.3), "sum to one"),
        (np.tile([1.5, -0.5], [20, 1]), ">= 0"),
        (np.full((20, 2), np.nan), "finite"),
        (np.zeros((0, 2)), "at least one row"),
        (np.full((5, 2), 0.5), "at least 10 examples"),
        (np.full(20, 1.0), "rank 2"),
    ],
)
def test_what_are_no_probabilities(probabilities, message):
    with pytest.raises(ValueError, match=message):
        inception_score(probabilities)


def test_streaming_equals_the_function():
    images = random_images(40)
    metric = InceptionScore(Pixels(4), splits=3)
    metric.update_real(random_images(5))
    for batch in np.split(images, [3, 20]):
        metric.update_fake(batch)
    score = metric.result()
    expected = inception_score(Pixels(4).probabilities(images).numpy(), splits=3)
    assert (score.value, score.std) == pytest.approx(expected, rel=1e-6)
    assert (score.num_real, score.num_fake, score.dimension) == (0, 40, 4)
    assert "(pixels[4], 3 splits, 40 fake)" in str(score)


def test_an_extractor_without_probabilities():
    class Features(FeatureExtractor):
        name, dimension = "features[1]", 1

        def __call__(self, images):
            return images

    with pytest.raises(TypeError, match="probabilities"):
        InceptionScore(Features())
    with pytest.raises(ValueError, match="generated images"):
        InceptionScore(Pixels(4)).result()
