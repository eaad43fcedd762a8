"""An ONNX file opened by ONNX Runtime, on the device that is asked for."""

import contextlib
import io
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from avmit import AvmitError
from conversion.cores import usable_cores
from conversion.wording import printable
from extraction.encoders.settings import Device
from extraction.extras import require

EXTRA = "onnx"
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "mps": "CoreMLExecutionProvider",
}
_OPTIONS = {
    # NVIDIA's 19 bits in place of float32, which ONNX Runtime takes by default, would be a
    # thousandth off.
    PROVIDERS["cuda"]: {"use_tf32": "0"},
}
Provider = tuple[str, dict[str, str]]
"""The name of what computes, and its options."""

_FATAL = 4
"""ONNX Runtime's severity of what ends the process; what is less comes as an exception, too."""
_WHERE = re.compile(
    r"^(\[ONNXRuntimeError\] : \d+ : \w+ : )?(Load model from .*? failed:\s*)?"
    r"(\S+\.(cc|h):\d+ ([^()]*\([^()]*\) )?)?"
)
"""What ONNX Runtime says first: a code, the file, and a place in its own source."""
_LONGEST = 300
_OPSET = re.compile(r"Opset (\d+) is under development.* for domain \S+ is till opset (\d+)", re.S)
_IR = re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)")


def open_session(path: Path, *, device: Device = "auto", threads: int | None = None) -> Any:
    """Open an ONNX file, with its external data beside it, as an `onnxruntime.InferenceSession`.

    `auto` is the first GPU where ONNX Runtime can use one by CUDA, else the CPU. `threads` are
    those that compute one call on a CPU; by default one for each core that this process may use.

    Raises:
        AvmitError: ONNX Runtime is not installed, has not that device, or cannot load the file.
    """
    ort = require("onnxruntime", EXTRA)
    ort.set_default_logger_severity(_FATAL)
    if not path.is_file():
        raise AvmitError(f"no file {path}: name an ONNX file, such as model.onnx")
    there = ort.get_available_providers()
    if device != "auto" and PROVIDERS[device] not in there:
        raise _no_device(ort, device)
    providers = providers_for(device, there)
    if providers[0][0] == PROVIDERS["cuda"] and hasattr(ort, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):
            ort.preload_dlls()  # CUDA's libraries, where pip packages have brought them
    session = _session(ort, path, providers, threads or usable_cores())
    if device != "auto" and provider_of(session) != PROVIDERS[device]:
        raise _no_device(ort, device)
    return session


def providers_for(device: Device, there: Sequence[str]) -> list[Provider]:
    """Return what is to compute on a device, with its options, of the providers that are there."""
    names = {"auto": ("cuda", "cpu"), "cpu": ("cpu",)}.get(device, (device, "cpu"))
    wanted = [PROVIDERS[name] for name in names if PROVIDERS[name] in there]
    return [(provider, _OPTIONS.get(provider, {})) for provider in wanted]


def provider_of(session: Any) -> str:
    """Return what a session computes by, such as `CPUExecutionProvider`."""
    return str(session.get_providers()[0])


def device_of(session: Any) -> str:
    """Return the device that a session computes on: cpu, cuda or mps."""
    return next(name for name, provider in PROVIDERS.items() if provider == provider_of(session))


def _session(ort: Any, path: Path, providers: list[Provider], threads: int) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL
    options.intra_op_num_threads = threads
    # Threads that wait in a loop take the cores from those that decode.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        # ONNX Runtime prints where it falls back to another provider; callers look which it is.
        with contextlib.redirect_stdout(io.StringIO()):
            return ort.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # ONNX Runtime's exceptions have no base of their own
        raise AvmitError(_explained(path, error, ort.__version__)) from error


def _explained(path: Path, error: Exception, version: str) -> str:
    """Say why a file cannot be loaded, and what to do."""
    text = str(error)
    for pattern, what in ((_OPSET, "opset"), (_IR, "IR version")):
        if found := pattern.search(text):
            return (
                f"{path} is of {what} {found[1]}, and onnxruntime {version} reads {found[2]} at "
                "most: pip install -U onnxruntime, or export it again at a lower one"
            )
    reason = reason_of(error)
    if "Protobuf parsing failed" in reason or "No graph was found" in reason:
        return f"{path} is damaged or no ONNX file: fetch or export it again"
    if "External data path" in reason or "external data" in reason.lower():
        return (
            f"{path} lacks its external data ({reason}): lay that file, such as "
            f"{path.name}_data, beside it under the name that it had when it was exported"
        )
    return f"{path} is no model that onnxruntime {version} can load ({reason}): export it again"


def reason_of(error: Exception) -> str:
    """Return what an ONNX Runtime error says is wrong, on one line."""
    said = _WHERE.sub("", str(error), count=1) or type(error).__name__
    return textwrap.shorten(printable(" ".join(said.split())), _LONGEST, placeholder=" ...")


def _no_device(ort: Any, device: str) -> AvmitError:
    there = [
        name for name, provider in PROVIDERS.items() if provider in ort.get_available_providers()
    ]
    how = {
        "cuda": "needs an NVIDIA GPU with its driver, and "
        "`pip uninstall onnxruntime; pip install 'onnxruntime-gpu[cuda,cudnn]'`",
        "mps": "needs a Mac, and `pip install -U onnxruntime`",
    }
    return AvmitError(
        f"--device {device}: onnxruntime {ort.__version__} has {', '.join(there)} here; {device} "
        f"{how[device]}; --device auto takes what is there"
    )
