"""RocAuc, LossHistory and HalveEvery inside `model.fit`."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from crossfade.errors import ArrayError, ConfigError, DataError, LabelError
from crossfade.keras import HalveEvery, LossHistory, RocAuc

RNG = np.random.default_rng(1)
X = RNG.normal(size=(30, 5)).astype(np.float32)


def labels_of(classes: int) -> np.ndarray:
    return np.arange(30) % classes


def softmax_model(classes: int = 3, rate: float = 0.1) -> keras.Model:
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(classes, activation="softmax")])
    model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy")
    return model


def fit(model: keras.Model, y: np.ndarray, callbacks: list, epochs: int = 2, **more: object) -> dict[str, list]:
    return model.fit(X, y, batch_size=8, epochs=epochs, verbose=0, callbacks=callbacks, **more).history


class Batches(keras.utils.PyDataset):
    """What gives batches by their number, or mixes."""

    mixes = False

    def __init__(self, y: np.ndarray) -> None:
        super().__init__()
        self.y = y

    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        return X[8 * i : 8 * i + 8], self.y[8 * i : 8 * i + 8]


class TestRocAuc:
    def test_of_several_classes_it_is_the_mean_of_one_against_the_rest(self) -> None:
        model, auc, y = softmax_model(), RocAuc((X, labels_of(3))), labels_of(3)
        logged = fit(model, y, [auc])["val_auc"]
        expected = roc_auc_score(y, model.predict(X, verbose=0).astype(np.float64), multi_class="ovr")
        assert logged == auc.values
        assert logged[-1] == pytest.approx(expected, abs=1e-6)

    def test_every_way_to_give_held_out_pictures(self) -> None:
        y = labels_of(3)
        dense = np.eye(3, dtype=np.float32)[y]
        listed = [(X[:20], y[:20]), (X[20:], y[20:])]
        callbacks = [RocAuc(data, name=f"auc_{i}") for i, data in enumerate([(X, y), (X, dense), Batches(y), listed])]
        logs = fit(softmax_model(), y, callbacks, epochs=1)
        assert len({round(logs[f"auc_{i}"][0], 12) for i in range(4)}) == 1

    @pytest.mark.parametrize("kind", ["sigmoid", "logit", "softmax"])
    def test_of_two_classes_it_is_that_of_class_1_whatever_the_head(self, kind: str) -> None:
        y = labels_of(2)
        head = keras.layers.Dense(1, activation="sigmoid" if kind == "sigmoid" else None)
        model = softmax_model(2) if kind == "softmax" else keras.Sequential([keras.Input((5,)), head])
        if kind != "softmax":
            model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=kind == "logit"))
        auc = RocAuc((X, y if kind == "softmax" else y[:, None].astype(np.float32)))
        fit(model, y if kind == "softmax" else y[:, None].astype(np.float32), [auc])
        assert auc.values[-1] == pytest.approx(roc_auc_score(y, model.predict(X, verbose=0)[:, -1]), abs=1e-6)

    def test_others_read_it_in_the_same_epoch(self, tmp_path: Path) -> None:
        best = tmp_path / "best.weights.h5"
        keep = {"monitor": "val_auc", "mode": "max", "save_best_only": True}
        checkpoint = keras.callbacks.ModelCheckpoint(str(best), save_weights_only=True, **keep)
        stop = keras.callbacks.EarlyStopping(monitor="val_auc", mode="max", patience=1)
        model = softmax_model(rate=0.0)
        logs = fit(model, labels_of(3), [RocAuc((X, labels_of(3))), checkpoint, stop], epochs=5)
        assert best.exists()
        assert len(logs["val_auc"]) == 2  # nothing improves at a rate of 0

    def test_outputs_that_are_no_numbers_have_no_auc(self) -> None:
        model, auc = softmax_model(), RocAuc((X, labels_of(3)))
        model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
        fit(model, labels_of(3), [auc], epochs=1)
        assert np.isnan(auc.values).all()

    def test_data_that_mixes_is_refused(self) -> None:
        mixed = Batches(labels_of(3))
        mixed.mixes = True
        with pytest.raises(DataError, match="RocAuc: a model is judged on pictures that are not mixed"):
            RocAuc(mixed)
        with pytest.raises(LabelError, match="neither mixed nor smoothed"):
            fit(softmax_model(), labels_of(3), [RocAuc((X, np.full((30, 3), 1 / 3, np.float32)))], epochs=1)
        with pytest.raises(LabelError, match="neither mixed nor smoothed"):
            fit(softmax_model(), labels_of(3), [RocAuc((X, np.full(30, 0.4, np.float32)))], epochs=1)

    @pytest.mark.parametrize(
        ("data", "error", "words"),
        [
            (iter([(X, X)]), ConfigError, "read again after every epoch"),
            (((X, labels_of(3)[:7])), ArrayError, "30 pictures and 7 labels"),
            ([(X, labels_of(3), np.ones(30))], ArrayError, "Leave sample weights out"),
            ((X, np.zeros(30, int)), DataError, "two classes. Got 30 of class 0"),
            ([], DataError, "Got none"),
        ],
    )
    def test_held_out_data_that_cannot_be_judged_on(self, data: object, error: type[Exception], words: str) -> None:
        with pytest.raises(error, match=words):
            fit(softmax_model(), labels_of(3), [RocAuc(data)], epochs=1)


class TestLossHistory:
    def test_each_batch_has_its_own_loss(self) -> None:
        model, history = softmax_model(rate=0.0), LossHistory()
        y = labels_of(3)
        fit(model, y, [history], shuffle=False)
        own = [model.evaluate(X[i : i + 8], y[i : i + 8], verbose=0) for i in range(0, 30, 8)]
        assert history.losses[:3] == pytest.approx(own[:3], abs=1e-5)
        assert history.losses[4:7] == pytest.approx(own[:3], abs=1e-5)
        mean = np.mean(own[:3])
        assert history.losses[3] == pytest.approx(mean + 4 * 6 / 30 * (own[3] - mean), abs=1e-5)  # drawn to the mean

    @pytest.mark.skipif(keras.config.backend() == "torch", reason="takes one step at a time")
    def test_several_steps_at_once_have_the_mean_of_their_losses(self) -> None:
        model, history = softmax_model(rate=0.0), LossHistory()
        model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", steps_per_execution=2)
        y = labels_of(3)[:24]
        model.fit(X[:24], y, epochs=1, batch_size=6, shuffle=False, verbose=0, callbacks=[history])
        own = [model.evaluate(X[i : i + 12], y[i : i + 12], verbose=0) for i in (0, 12)]
        assert history.losses == pytest.approx(own, abs=1e-5)

    def test_epochs_and_rates_are_kept(self) -> None:
        history = LossHistory()
        logs = fit(softmax_model(), labels_of(3), [HalveEvery(1, 0.2), history], epochs=3, validation_split=0.2)
        assert [epoch["loss"] for epoch in history.epochs] == logs["loss"]
        assert [epoch["val_loss"] for epoch in history.epochs] == logs["val_loss"]
        assert history.rates == [0.2, 0.1, 0.05]
        assert len(history.figure().axes[0].lines) == 3
        assert len(LossHistory.side_by_side({"0.2": history, "0.1": history}).axes[0].lines) == 2


class TestHalveEvery:
    def test_the_rate_is_halved_and_recorded(self) -> None:
        decay, model = HalveEvery(2, 0.1), softmax_model()
        logs = fit(model, labels_of(3), [decay], epochs=5)
        assert logs["learning_rate"] == decay.rates == [0.1, 0.1, 0.05, 0.05, 0.025]
        assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == pytest.approx(0.025)
        assert len(decay.figure().axes) == 1

    def test_a_training_that_goes_on_has_the_rate_it_would_have_had(self) -> None:
        decay = HalveEvery(2, 0.1, factor=0.1)
        fit(softmax_model(), labels_of(3), [decay], epochs=4, initial_epoch=3)
        assert decay.rates == pytest.approx([0.01])

    def test_its_arguments_make_it_again(self) -> None:
        assert vars(HalveEvery(**HalveEvery(3, 0.1, 0.2).get_config())) == vars(HalveEvery(3, 0.1, 0.2))

    @pytest.mark.parametrize("wrong", [{"epochs": 0}, {"epochs": 1.5}, {"base": 0.0}, {"base": np.inf}, {"factor": 2}])
    def test_what_is_no_decay_is_refused(self, wrong: dict[str, float]) -> None:
        with pytest.raises(ConfigError, match=f"HalveEvery: {next(iter(wrong))} must be"):
            HalveEvery(**{"epochs": 1, "base": 0.1, **wrong})

    def test_a_rate_that_is_a_schedule_is_refused(self) -> None:
        model = softmax_model()
        model.compile(keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 5, 0.5)), model.loss)
        with pytest.raises(ConfigError, match="whose rate is a schedule"):
            fit(model, labels_of(3), [HalveEvery(1, 0.1)])
