"""YAMNet (Plakal and Ellis 2020), a MobileNet trained on AudioSet."""

from extraction.media.forms import Sound
from extraction.saved_model import SavedModelEncoder

YAMNET = SavedModelEncoder(
    name="yamnet",
    width=1024,
    input=Sound(),
    window_ms=960,
    step_ms=480,
    origin="Kaggle google/yamnet/tensorFlow2/yamnet",
    preprocessing="float32 from -1 to 1 at 16 kHz; log mel spectrogram inside the SavedModel",
    libraries=("tensorflow",),
    handle="google/yamnet/tensorFlow2/yamnet",
    # A call returns (scores, embeddings, spectrogram).
    embeddings=lambda returned: returned[1],
)
