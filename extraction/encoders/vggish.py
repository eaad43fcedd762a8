"""VGGish (Hershey et al. 2017, DOI 10.1109/ICASSP.2017.7952132), trained on YouTube-8M sound."""

from extraction.media.forms import Sound
from extraction.saved_model import SavedModelEncoder

VGGISH = SavedModelEncoder(
    name="vggish",
    width=128,
    input=Sound(),
    window_ms=960,
    step_ms=960,
    origin="Kaggle google/vggish/tensorFlow2/vggish",
    preprocessing="float32 from -1 to 1 at 16 kHz; log mel spectrogram inside the SavedModel",
    libraries=("tensorflow",),
    handle="google/vggish/tensorFlow2/vggish",
    embeddings=lambda returned: returned,
)
