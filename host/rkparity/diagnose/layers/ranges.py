"""Quantisation by design: ranges too narrow, one range for unlike channels, noise beyond what the scale explains.

These make the simulator wrong as well as the board; they are found by simulator against golden (RKNN manual 7.1.2).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rkparity.compare.alignment import PairRole
from rkparity.compare.kernels import Quantization, grid_ends
from rkparity.diagnose.layers.facts import LayerFacts, LayersFacts
from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CLIPPED_SHARE = 0.02
_BAD_COSINE = 0.99
_OUTLIER_RATIO = 16.0
_MANUAL = "RKNN manual 7.1.2"


def ranges(facts: LayersFacts) -> Iterable[Finding]:
    """Clipped tensors, collapsed and outlying channels; at most one finding of each kind, about the worst tensor."""
    if facts.golden is None:
        return
    worst: dict[str, tuple[float, Finding]] = {}
    for weight, finding in _clipped_inputs(facts):
        worst[finding.id] = (weight, finding)
    for layer in facts.layers:
        if layer.noise is None or layer.quantization is None or layer.dtype not in ("int8", "uint8", "int16"):
            continue
        for weight, finding in (*_clipped(facts, layer), *_channels(facts, layer)):
            if finding.id not in worst or weight > worst[finding.id][0]:
                worst[finding.id] = (weight, finding)
    yield from (finding for _, finding in worst.values())


def board_saturation(facts: LayersFacts) -> Iterable[Finding]:
    """A layer the board cuts off at the end of its range and the simulator does not."""
    if facts.comparison.blamed_input is not None:
        return
    import numpy as np

    for layer in facts.own:
        known = layer.quantization
        simulated = facts.simulated(layer)
        if known is None or simulated is None or layer.dtype not in ("int8", "uint8", "int16"):
            continue
        low, high = grid_ends(layer.dtype, known)
        board = facts.dump(layer)
        if board.size == 0 or board.min() == board.max():
            continue
        shares = []
        for values in (board, simulated):
            at_end = (values <= low + known.scale / 2) | (values >= high - known.scale / 2)
            shares.append(float(np.mean(at_end)))
        if shares[0] - shares[1] > 0.05:
            yield Finding(
                "layer.saturation",
                FindingStage.LAYER,
                Severity.ERROR,
                0.8,
                f"{layer.pair.tensor} saturates on the board only",
                f"{100 * shares[0]:.3g} % of its elements are at the ends of the range on the board, "
                f"{100 * shares[1]:.3g} "
                "% in the simulator: the operator's result is larger there, or another scale is used.",
                (
                    Evidence(
                        "statistics",
                        "elements at the ends of the range",
                        {"board": shares[0], "simulator": shares[1]},
                        layer.pair.dump,
                    ),
                ),
                "Use one version for toolkit and librknnrt; then report the operator with its input dump.",
                reference="RKNN manual 7.2.1",
                subject=layer.pair.tensor,
            )
            return


def _clipped_inputs(facts: LayersFacts) -> Iterable[tuple[float, Finding]]:
    """Inputs whose normalised values leave the range their quantisation has: everything behind is wrong by that."""
    records = {record.name: record for record in facts.reference.manifest.tensors}
    for tensor in facts.model.input_tensors if facts.model is not None else ():
        record = records.get(tensor.name)
        if record is None or not tensor.is_quantized or len(tensor.scale) != 1:
            continue
        known = Quantization(tensor.scale[0], tensor.zero_point[0])
        low, high = grid_ends(tensor.dtype, known)
        values = facts.reference.tensor(record)
        if values.size == 0 or values.dtype.kind != "f":
            continue
        share = float(((values < low - known.scale) | (values > high + known.scale)).mean())
        if share >= _CLIPPED_SHARE:
            yield 1.0 + share, _range(tensor.name, share, (low, high), (float(values.min()), float(values.max())), {})


def _clipped(facts: LayersFacts, layer: LayerFacts) -> Iterable[tuple[float, Finding]]:
    noise, known = layer.noise, layer.quantization
    if noise is None or known is None or not noise.cosine < _BAD_COSINE:
        return
    low, high = grid_ends(layer.dtype, known)
    if noise.reference.minimum >= low - known.scale and noise.reference.maximum <= high + known.scale:
        return
    golden = facts.golden_of(layer.pair.tensor)
    if golden is None or golden.size == 0:
        return
    share = float(((golden < low - known.scale / 2) | (golden > high + known.scale / 2)).mean())
    # A fused clamp behind the operator cuts as well; then golden is cut too, and the share is 0.
    if share < _CLIPPED_SHARE:
        return
    limits = (noise.reference.minimum, noise.reference.maximum)
    yield share, _range(layer.pair.tensor, share, (low, high), limits, {"cosine": noise.cosine})


def _range(
    name: str, share: float, grid: tuple[float, float], limits: tuple[float, float], numbers: dict[str, float]
) -> Finding:
    return Finding(
        "quantization.range",
        FindingStage.LAYER,
        Severity.WARNING,
        0.8,
        f"the range calibrated for {name} is too narrow",
        f"{100 * share:.3g} % of its float values lie outside [{grid[0]:.4g}, {grid[1]:.4g}], the range INT8 has "
        f"there (float: {limits[0]:.4g} to {limits[1]:.4g}). The simulator is wrong in the same way.",
        (Evidence("statistics", "values outside the range", {"clipped": share, **numbers}),),
        "Calibrate with 20 to 200 pictures that look like this input, preprocessed as in deployment; then "
        "quantized_algorithm='mmse' or 'kl_divergence'; then keep this layer in float (hybrid quantisation).",
        "rknn.build(do_quantization=True, dataset='like_deployment.txt')",
        _MANUAL,
        subject=name,
    )


def _channels(facts: LayersFacts, layer: LayerFacts) -> Iterable[tuple[float, Finding]]:
    known = layer.quantization
    if known is None or len(layer.pair.shape) < 2 or layer.noise is None:
        return
    golden, simulated = facts.golden_of(layer.pair.tensor), facts.simulated(layer)
    if golden is None or simulated is None or golden.size != simulated.size:
        return
    spread, kept = _spread(golden.reshape(layer.pair.shape)), _spread(simulated)
    if spread is None or kept is None or spread.size < 2:
        return
    widest = float(spread.max())
    if not widest > 0:
        return
    lost = (kept < 0.5 * known.scale) & (spread > 1e-3 * known.scale) & (spread < 3 * known.scale)
    is_output = layer.pair.role is PairRole.OUTPUT
    if is_output and lost.any() and widest > 20 * float(spread[lost].max()):
        yield float(lost.mean()), _shared(layer, known.scale, spread, lost)
    elif not is_output and _is_harmed(facts, layer):
        import numpy as np

        usual = float(np.median(spread))
        if usual > 0 and widest > _OUTLIER_RATIO * usual:
            yield widest / usual, _outlier(layer, known.scale, spread, usual)


def _is_harmed(facts: LayersFacts, layer: LayerFacts) -> bool:
    """Whether the layer or one that reads it is far from golden: the layer's own cosine is the large channel's."""
    noises = [item.noise for item in (layer, *facts.readers(layer)) if item.noise is not None]
    return any(noise.cosine < _BAD_COSINE for noise in noises)


def _spread(values: NDArray[Any]) -> NDArray[Any] | None:
    """The range of each channel (axis 1)."""
    import numpy as np

    if not np.isfinite(values).all():
        return None
    channels = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)
    if channels.shape[1] < 2:
        return None
    return np.asarray(channels.max(axis=1) - channels.min(axis=1), np.float64)


def _shared(layer: LayerFacts, scale: float, spread: NDArray[Any], lost: NDArray[Any]) -> Finding:
    import numpy as np

    indices = np.flatnonzero(lost)
    widest = int(spread.argmax())
    return Finding(
        "quantization.shared_range",
        FindingStage.LAYER,
        Severity.ERROR,
        0.9,
        f"output {layer.pair.tensor}: one scale for values of unlike size",
        f"One step of its scale is {scale:.4g}. Channels {indices[0]} to {indices[-1]} ({indices.size} of "
        f"{spread.size}) "
        f"vary by at most {float(spread[lost].max()):.4g} in float and become constant; channel {widest} varies by "
        f"{float(spread[widest]):.4g} and sets the scale. (Boxes and scores in one INT8 tensor: scores become 0.)",
        (
            Evidence(
                "statistics",
                "ranges of the channels in golden",
                {"scale": scale, "lost_channels": float(indices.size), "widest": float(spread[widest])},
            ),
        ),
        "Split the output before the concatenation, so that each part gets its own scale, and join them in "
        "post-processing.",
        "rknn.load_onnx(model=..., outputs=['boxes_before_concat', 'scores_before_concat'])",
        "ultralytics/ultralytics#13566, airockchip/rknn-toolkit2#546",
        subject=layer.pair.tensor,
    )


def _outlier(layer: LayerFacts, scale: float, spread: NDArray[Any], usual: float) -> Finding:
    widest = int(spread.argmax())
    assert layer.noise is not None
    return Finding(
        "quantization.channel_outlier",
        FindingStage.LAYER,
        Severity.WARNING,
        0.8,
        f"{layer.pair.tensor}: channel {widest} takes the range of all others",
        f"Channel {widest} varies by {float(spread[widest]):.4g}, the usual channel by {usual:.4g}, which leaves it "
        f"{usual / scale:.3g} steps of the common scale {scale:.4g}.",
        (
            Evidence(
                "statistics",
                "ranges of the channels in golden, and simulator against golden",
                {"widest": float(spread[widest]), "median": usual, "cosine": layer.noise.cosine},
            ),
        ),
        "Keep this tensor in float (hybrid quantisation names tensors), or equalise the weights before it.",
        "rknn.hybrid_quantization_step1(dataset='dataset.txt', proposal=True)",
        _MANUAL,
        subject=layer.pair.tensor,
    )
