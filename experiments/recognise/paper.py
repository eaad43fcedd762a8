"""The paper's 24 results on the 960 test videos, and the settings that they came of.

Put together from the authors' `AVMIT_results.txt` and `train.yaml` of each network, in their
repository (CC0), as the paper reports them (arXiv 2308.09685). Networks were trained on AVMIT's
balanced choice, or on as many videos of the same classes of Moments in Time (MIT-16), not rated.
"""

from typing import Literal, NamedTuple

from experiments.recognise.networks.architecture import Rnn, Task

TrainedOn = Literal["AVMIT", "MIT-16"]


class Cell(NamedTuple):
    """One network of the paper: its settings, and what it reached on the test videos.

    `accuracy` and `top5` are shares; the correspondence task, of two classes, has no top 5.
    """

    task: Task
    config: str
    rnn: Rnn
    trained_on: TrainedOn
    units: int
    bottleneck: int | None
    dropout: float
    learning_rate: float
    batch_size: int
    loss: float
    accuracy: float
    top5: float | None = None


_C: Task = "correspondence"
_R: Task = "recognition"
_V, _Y = "vggish_vgg16", "yamnet_effnet"
_A: TrainedOn = "AVMIT"
_M: TrainedOn = "MIT-16"
# fmt: off
CELLS: tuple[Cell, ...] = (
    Cell(_C, _V, "simple", _A, 256, None, 0.1, 1e-4, 512, 0.5351982712745667, 0.7317708134651184),
    Cell(_C, _V, "simple", _M, 256, None, 0.1, 1e-4, 512, 0.5694897770881653, 0.7109375),
    Cell(_C, _V, "gru", _A, 256, None, 0.1, 1e-4, 512, 0.5288585424423218, 0.7291666865348816),
    Cell(_C, _V, "gru", _M, 256, None, 0.1, 1e-4, 512, 0.6921178102493286, 0.671875),
    Cell(_C, _V, "lstm", _A, 256, None, 0.1, 1e-4, 512, 0.46709635853767395, 0.7755208611488342),
    Cell(_C, _V, "lstm", _M, 256, None, 0.1, 1e-4, 512, 0.7877314686775208, 0.5838541388511658),
    Cell(_C, _Y, "simple", _A, 256, None, 0.1, 1e-4, 512, 0.42233479022979736, 0.8130208253860474),
    Cell(_C, _Y, "simple", _M, 256, None, 0.1, 1e-4, 512, 0.5370912551879883, 0.7333333492279053),
    Cell(_C, _Y, "gru", _A, 256, None, 0.1, 1e-4, 512, 0.3971441686153412, 0.8182291388511658),
    Cell(_C, _Y, "gru", _M, 256, None, 0.1, 1e-4, 512, 0.5123940706253052, 0.754687488079071),
    Cell(_C, _Y, "lstm", _A, 256, None, 0.1, 1e-4, 512, 0.40058040618896484, 0.8223958611488342),
    Cell(_C, _Y, "lstm", _M, 256, None, 0.1, 1e-4, 512, 0.5142763257026672, 0.7416666746139526),
    Cell(_R, _V, "simple", _A, 256, 256, 0.4, 0.00010468, 16,
         0.2980233430862427, 0.9072916507720947, 0.9979166388511658),
    Cell(_R, _V, "simple", _M, 256, 256, 0.4, 0.00010468, 16,
         0.4388268291950226, 0.8479166626930237, 0.9958333373069763),
    Cell(_R, _V, "gru", _A, 128, 256, 0.5, 0.00039178, 16,
         0.29167523980140686, 0.9104166626930237, 0.9979166388511658),
    Cell(_R, _V, "gru", _M, 128, 256, 0.5, 0.00039178, 16,
         0.4107877016067505, 0.8583333492279053, 0.996874988079071),
    Cell(_R, _V, "lstm", _A, 256, 256, 0.5, 0.00017409, 16,
         0.289266437292099, 0.909375011920929, 0.9989583492279053),
    Cell(_R, _V, "lstm", _M, 256, 256, 0.5, 0.00017409, 16,
         0.35269513726234436, 0.8697916865348816, 0.9989583492279053),
    Cell(_R, _Y, "simple", _A, 128, 256, 0.3, 0.000070479, 16,
         0.1841350644826889, 0.9458333253860474, 0.9989583492279053),
    Cell(_R, _Y, "simple", _M, 128, 256, 0.3, 0.000070479, 16,
         0.29731470346450806, 0.8979166746139526, 0.9989583492279053),
    Cell(_R, _Y, "gru", _A, 128, 64, 0.5, 0.000072503, 16,
         0.16004307568073273, 0.9572916626930237, 0.9989583492279053),
    Cell(_R, _Y, "gru", _M, 128, 64, 0.5, 0.000072503, 16,
         0.24299901723861694, 0.9229166507720947, 0.9989583492279053),
    Cell(_R, _Y, "lstm", _A, 64, 256, 0.3, 0.000041010, 16,
         0.16739174723625183, 0.9552083611488342, 0.9979166388511658),
    Cell(_R, _Y, "lstm", _M, 64, 256, 0.3, 0.000041010, 16,
         0.2366022765636444, 0.9281250238418579, 1.0),
)
# fmt: on


def paper_cell(task: Task, config: str, rnn: Rnn, trained_on: TrainedOn = "AVMIT") -> Cell | None:
    """Return the paper's network of these; None where it has none, as of other embeddings."""
    asked = (task, config, rnn, trained_on)
    return next((cell for cell in CELLS if cell[:4] == asked), None)


def settings_cell(task: Task, config: str, rnn: Rnn) -> Cell:
    """Return the paper's settings for a config; of embeddings not its own, the wider set's."""
    found = paper_cell(task, config, rnn) or paper_cell(task, "yamnet_effnet", rnn)
    assert found is not None
    return found
