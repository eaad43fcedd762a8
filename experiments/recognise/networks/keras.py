"""The paper's networks in Keras 3, with any of its backends."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from experiments.extras import require
from experiments.recognise.networks import architecture as made_of
from experiments.recognise.networks.architecture import Architecture, Weights
from experiments.recognise.networks.network import Batch, Matrix, Network, Optimizer

keras: Any = require("keras", "a network in Keras", "'avmit[recognise]'")

_RNN = {"simple": "SimpleRNN", "gru": "GRU", "lstm": "LSTM"}


class _Distance(keras.layers.Layer):  # type: ignore[misc]
    """The Euclidean distance of two vectors in each timestep, (B, T, 1)."""

    def call(self, vectors: Any) -> Any:
        difference = vectors[0] - vectors[1]
        squares = keras.ops.sum(keras.ops.square(difference), axis=-1, keepdims=True)
        return keras.ops.sqrt(keras.ops.maximum(squares, made_of.DISTANCE_EPSILON))


class KerasNetwork(Network):
    """A network as a Keras model, `model`; see `Network`."""

    def __init__(self, architecture: Architecture, weights: Mapping[str, Any]):
        super().__init__(architecture)
        if keras.backend.backend() == "tensorflow":
            _set_up_tensorflow()
        self.model = _model(architecture)
        self._compiled: Any = None
        self.set_weights(weights)

    def set_weights(self, weights: Mapping[str, Any]) -> None:
        """Take over the values of all layers."""
        for layer, names in self.architecture.layers().items():
            self.model.get_layer(layer).set_weights([weights[name] for name in names])

    def weights(self) -> Weights:
        """Return copies of the values of all layers."""
        return {
            name: np.array(values, np.float32)
            for layer, names in self.architecture.layers().items()
            for name, values in zip(names, self.model.get_layer(layer).get_weights(), strict=True)
        }

    def probabilities(self, batch: Batch) -> Matrix:
        """Return what the network gives, (B, classes)."""
        inputs = {name: batch[name] for name in self.architecture.modalities}
        return np.asarray(self.model.predict_on_batch(inputs), np.float32)

    def prepare(self, optimizer: Optimizer) -> None:
        """Get ready to train."""
        # Compiling it for the machine at hand takes longer than it saves, for so small a network.
        self.model.compile(
            keras.optimizers.Adam(
                optimizer.learning_rate, weight_decay=optimizer.weight_decay or None
            ),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=False,
        )
        self.model.optimizer.build(self.model.trainable_variables)

    def train(self, batches: Iterable[Batch], seed: tuple[int, int]) -> tuple[float, float]:
        """Train through an epoch; return the mean loss and accuracy of its batches."""
        state = np.random.SeedSequence(seed).generate_state(2)
        self.model.get_layer("rnn").cell.seed_generator.state.assign(state)
        step = self._step()
        totals, rows = np.zeros(2), 0
        for batch in batches:
            inputs = {name: batch[name] for name in self.architecture.modalities}
            metrics = step(inputs, batch["label"])
            totals += len(batch["label"]) * np.array(metrics, np.float64)
            rows += len(batch["label"])
        loss, accuracy = totals / rows if rows else totals * np.nan
        return float(loss), float(accuracy)

    def _step(self) -> Any:
        """Return what trains on a batch, and gives its loss and accuracy."""
        if keras.backend.backend() == "tensorflow":
            if self._compiled is None:
                self._compiled = _tensorflow_step(self.model)
            return self._compiled

        def step(inputs: Any, label: Any) -> Any:
            self.model.reset_metrics()  # Keras 3.15 does so itself, earlier releases add up
            return self.model.train_on_batch(inputs, label)

        return step

    def optimizer_state(self) -> dict[str, Any]:
        """Return what the optimizer remembers, as arrays."""
        variables = self.model.optimizer.variables
        arrays = map(keras.ops.convert_to_numpy, variables)
        return {str(number): np.array(array) for number, array in enumerate(arrays)}

    def set_optimizer_state(self, state: Mapping[str, Any]) -> None:
        """Let the optimizer go on from what it remembered."""
        for number, variable in enumerate(self.model.optimizer.variables):
            variable.assign(state[str(number)])


def _set_up_tensorflow() -> None:
    """Let TensorFlow compute in float32, and take as much of a GPU's memory as it needs, for it
    would take all; TF_FORCE_GPU_ALLOW_GROWTH in the environment stands for the memory."""
    tf = require("tensorflow", "a network in Keras", "'avmit[recognise]'")
    # On NVIDIA GPUs, 19 bits in place of float32 would be a thousandth off.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    if "TF_FORCE_GPU_ALLOW_GROWTH" in os.environ:
        return
    with suppress(RuntimeError, ValueError):  # it computes already, as its user set it up
        for gpu in tf.config.get_visible_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)


def _tensorflow_step(model: Any) -> Any:
    """Return a step as TensorFlow's graph, without what `train_on_batch` does around it."""
    tf = require("tensorflow", "a network in Keras", "'avmit[recognise]'")
    variables = model.trainable_variables

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(inputs: Any, label: Any) -> Any:
        with tf.GradientTape() as tape:
            given = model(inputs, training=True)
            losses = keras.losses.sparse_categorical_crossentropy(label, given)
            loss = tf.reduce_mean(losses)
        model.optimizer.apply(tape.gradient(loss, variables), variables)
        right = tf.equal(tf.argmax(given, -1), tf.cast(label, tf.int64))
        return tf.stack([loss, tf.reduce_mean(tf.cast(right, tf.float32))])

    return lambda inputs, label: step(
        {name: tf.convert_to_tensor(array) for name, array in inputs.items()},
        tf.convert_to_tensor(label),
    ).numpy()


def _model(architecture: Architecture) -> Any:
    layers = keras.layers
    recognition = architecture.task == "recognition"
    inputs = {
        name: keras.Input((architecture.timesteps, width), name=name)
        for name, width in architecture.widths
    }
    branch = _bottleneck if recognition else _normalized
    branches = [branch(name, tensor, architecture.bottleneck) for name, tensor in inputs.items()]
    if not recognition:
        joined = _Distance(name="distance")(branches)
    else:
        joined = layers.concatenate(branches) if len(branches) > 1 else branches[0]
    options: dict[str, Any] = {"dropout": architecture.dropout, "name": "rnn"}
    # Seven steps one after the other are faster than a loop.
    rnn = getattr(layers, _RNN[architecture.rnn])(architecture.units, unroll=True, **options)
    classifier = layers.Dense(architecture.classes, activation="softmax", name="classifier")
    return keras.Model(inputs, classifier(rnn(joined)))


def _bottleneck(name: str, tensor: Any, channels: int) -> Any:
    layers = keras.layers
    # A 1x1 convolution of a sequence of vectors is a dense layer in each timestep.
    narrow = layers.Dense(channels, name=f"{name}_bottleneck")(tensor)
    normal = layers.BatchNormalization(name=f"{name}_norm", **made_of.BATCH_NORM)(narrow)
    return layers.Activation("swish", name=f"{name}_swish")(normal)


def _normalized(name: str, tensor: Any, units: int) -> Any:
    layers = keras.layers
    for number in (1, 2):
        tensor = layers.Dense(units, name=f"{name}_dense_{number}")(tensor)
    return layers.UnitNormalization(name=f"{name}_unit")(tensor)
