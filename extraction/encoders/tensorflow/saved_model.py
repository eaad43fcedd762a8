"""`saved_model:` and `kaggle:` encoders: any TensorFlow SavedModel of sound or of frames."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from conversion.wording import first_line
from extraction.encoders.arrays import BATCH, Matrix, by_name, in_batches, pick
from extraction.encoders.base import Encoder, weights_digest
from extraction.encoders.memory import Parts, gpu_batch
from extraction.encoders.settings import Modality, Settings, frames_form, option
from extraction.encoders.tensorflow.encoder import OPTIONS, TensorFlowEncoder
from extraction.encoders.tensorflow.frames_network import out_of_memory
from extraction.encoders.tensorflow.network import TensorFlowNetwork, device, place, tensorflow
from extraction.encoders.tensorflow.sound_network import fetch_from_kaggle
from extraction.encoders.timing import timing_of
from extraction.media.forms import Form, Frames, Sound
from extraction.media.frames import FRAME_SIDE
from extraction.media.noise import noise


def saved_model_encoder(rest: str, modality: Modality | None, settings: Settings) -> Encoder:
    """Return the encoder `saved_model:<folder>`.

    Raises:
        AvmitError: there is no SavedModel in the folder.
    """
    folder = Path(rest)
    _check(folder)
    return _encoder(f"saved_model:{folder.name}", folder.name, folder, modality, settings)


def kaggle_encoder(rest: str, modality: Modality | None, settings: Settings) -> Encoder:
    """Return the encoder `kaggle:<owner>/<model>/tensorFlow2/<variation>`, fetched if need be.

    Raises:
        AvmitError: it cannot be fetched, or is no SavedModel.
    """
    if rest.count("/") not in (3, 4):
        raise AvmitError(
            f"kaggle:{rest} is no handle: give OWNER/MODEL/tensorFlow2/VARIATION, such as "
            "kaggle:google/yamnet/tensorFlow2/yamnet"
        )
    advice = "unpack it, and name it saved_model:/path/of/the/folder"
    folder = fetch_from_kaggle(rest, f"kaggle:{rest}", advice)
    _check(folder)
    return _encoder(f"kaggle:{rest}", f"Kaggle {rest}", folder, modality, settings)


def _check(folder: Path) -> None:
    if not (folder / "saved_model.pb").is_file():
        raise AvmitError(
            f"no saved_model.pb in {folder}: saved_model: takes the folder of a TensorFlow "
            "SavedModel"
        )


def _encoder(
    name: str, origin: str, folder: Path, modality: Modality | None, settings: Settings
) -> Encoder:
    if modality is None:
        raise AvmitError(f"{name} may take sound or frames: say which with --modality")
    form: Form = Sound() if modality == "audio" else frames_form(settings, FRAME_SIDE)
    sound = "float32 from -1 to 1 at 16 kHz; the rest in the SavedModel"
    frames = "RGB 0 to 1 (0 to 255 where the SavedModel takes uint8); the rest in the SavedModel"
    return AnySavedModel(
        name=name,
        width=0,
        input=form,
        window_ms=0.0,
        step_ms=form.interval_ms if isinstance(form, Frames) else None,
        origin=origin,
        preprocessing=sound if modality == "audio" else frames,
        libraries=("tensorflow",),
        takes=OPTIONS | {"output"} | ({"interval_ms"} if modality == "visual" else set()),
        facts={} if settings.output is None else {"output": settings.output},
        folder=folder,
        output=settings.output,
    )


@dataclass(frozen=True, kw_only=True)
class AnySavedModel(TensorFlowEncoder):
    """A SavedModel that maps a waveform (N,) to (T, width), or frames to (batch, width)."""

    folder: Path
    output: str | None

    def find_weights(self, weights: Path | None) -> Path:
        """Return the folder."""
        return self.folder

    def load(self, weights: Path | None) -> TensorFlowNetwork:
        """Load the SavedModel and find out width and timing."""
        tf = tensorflow()
        on = device(self.device)
        try:
            with place(on):
                model = tf.saved_model.load(str(self.folder))
        except Exception as error:  # TensorFlow raises what it likes
            raise AvmitError(
                f"{self.folder} is no SavedModel that TensorFlow can load ({first_line(error)})"
            ) from error
        made = _SoundModel if isinstance(self.input, Sound) else _FramesModel
        return made(_Call(tf, model, self), self, on)


class _Call:
    """Calls a SavedModel with one input and picks one of its outputs."""

    def __init__(self, tf: Any, model: Any, encoder: AnySavedModel):
        self.tf = tf
        self._model = model
        self._encoder = encoder
        self._function, self.spec = _function(model, encoder.folder)
        self._chosen: str | None = None

    def __call__(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = self._run(self.tf.constant(values, self.dtype)).numpy()
        return found.astype(np.float32)

    def traced(self, values: Any, scale: int = 1) -> Any:
        """Do the same with a tensor, divided by `scale` first, in a graph that is being made."""
        tf = self.tf
        if scale != 1:
            values = tf.cast(values, tf.float32) / scale
        return tf.cast(self._run(tf.cast(values, self.dtype)), tf.float32)

    def _run(self, tensor: Any) -> Any:
        outputs = by_name(self._function(tensor))
        if self._chosen is None:
            encoder = self._encoder
            what = str(encoder.folder)
            self._chosen = pick(outputs, encoder.output, what, encoder.modality)
        return outputs[self._chosen]

    @property
    def dtype(self) -> Any:
        return self.tf.float32 if self.spec is None else self.spec.dtype

    def first(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Call it for the first time."""
        encoder = self._encoder
        try:
            found = self(values)
        except AvmitError:
            raise
        except Exception as error:  # TensorFlow raises what it likes
            what = "a waveform" if encoder.modality == "audio" else f"frames {values.shape}"
            raise AvmitError(
                f"{encoder.folder} does not take {what} ({first_line(error)}): "
                "write a function around it in an encoder module"
            ) from error
        if found.ndim != 2:
            wanted = "(T, width)" if encoder.modality == "audio" else "(batch, width)"
            raise AvmitError(
                f"output {self._chosen} of {encoder.folder} is {found.shape}, not {wanted}: "
                f"pick another with {option(encoder.modality, 'output')}"
            )
        return found


def _function(model: Any, folder: Path) -> tuple[Callable[[Any], Any], Any]:
    """Return what to call, and the specification of its input if there is one."""
    if callable(model):
        functions = getattr(model.__call__, "concrete_functions", [])
        for function in functions:
            if function.structured_input_signature[0]:
                return model, function.structured_input_signature[0][0]
        return model, None
    signature = model.signatures.get("serving_default")
    if signature is None:
        raise AvmitError(f"{folder} can not be called and has no signature serving_default")
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1:
        raise AvmitError(f"{folder} takes {', '.join(sorted(inputs))}: one input is wanted")
    ((name, spec),) = inputs.items()
    return lambda values: signature(**{name: values}), spec


class _SoundModel(TensorFlowNetwork):
    """Takes a waveform a call."""

    def __init__(self, call: _Call, encoder: AnySavedModel, device: str):
        super().__init__(device)
        self._call = call
        assert isinstance(encoder.input, Sound)
        self._form = encoder.input
        self.weights_sha256 = weights_digest(encoder.folder)
        with self.placed():
            probe = self._call.first(noise(self._form))
        self.found = {"width": probe.shape[1], **timing_of(self._steps, self._form.rate)}

    def graph(self) -> tuple[Callable[[Any], Any], Any]:
        """Return the SavedModel with the choice of its output, for the waveforms that it takes."""
        tf, spec = self._call.tf, self._call.spec
        shape = (None,) if spec is None or spec.shape.rank != 1 else spec.shape
        return self._call.traced, tf.TensorSpec(shape, tf.float32)

    def encode(self, inputs: npt.NDArray[Any]) -> Matrix:
        """Return the embeddings of one waveform."""
        with self.placed():
            return self._call(inputs)

    def _steps(self, samples: int) -> int:
        try:
            return len(self.encode(noise(self._form, samples / self._form.rate)))
        except Exception:  # too short for it
            return 0


class _FramesModel(TensorFlowNetwork):
    """Takes a batch of frames a call."""

    def __init__(self, call: _Call, encoder: AnySavedModel, device: str):
        super().__init__(device)
        self._call = call
        self._scale = 1 if call.dtype == call.tf.uint8 else 255
        spec = call.spec
        fixed = list(spec.shape) if spec is not None and spec.shape.rank == 4 else [None, None]
        self._fixed, self._side = fixed[0], fixed[1] or FRAME_SIDE
        self.batch = fixed[0] or (BATCH if device == "cpu" else gpu_batch(self._side))
        self._parts = Parts(encoder.name, device, self.batch, out_of_memory)
        self.weights_sha256 = weights_digest(encoder.folder)
        assert isinstance(encoder.input, Frames)
        with self.placed():
            probe = call.first(np.zeros((self.batch, self._side, self._side, 3), np.uint8))
        form = Frames(self._side, encoder.input.interval_ms)
        self.found = {"width": probe.shape[1], "input": form}

    def graph(self) -> tuple[Callable[[Any], Any], Any]:
        """Return the SavedModel with the scaling of its input and the choice of its output."""
        shape = (self._fixed, self._side, self._side, 3)
        tf = self._call.tf
        return lambda frames: self._call.traced(frames, self._scale), tf.TensorSpec(shape, tf.uint8)

    def encode(self, inputs: npt.NDArray[Any]) -> Sequence[Matrix]:
        """Return the embeddings of any number of frames."""
        return in_batches(inputs, self.batch, self._run)

    def _run(self, frames: Any) -> Matrix | Sequence[Matrix]:
        return self._compute(frames) if self._fixed else self._parts.run(frames, self._compute)

    def _compute(self, frames: Any) -> Matrix:
        with self.placed():
            return self._call(
                frames if self._scale == 1 else frames.astype(np.float32) / self._scale
            )
