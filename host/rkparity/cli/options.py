"""The options that several commands share: how to build a model, where the toolkit is, which board; what they make."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.board.link.target import AdbTarget, LocalTarget, SshTarget, parse_target
from rkparity.errors import UsageError
from rkparity.toolkit.spec import BuildSpec, Framework, hybrid_spec

if TYPE_CHECKING:
    from rkparity.flow.local_run import LocalSettings


def add_build_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `rkparity build` and of `rkparity simulate` on a source model."""
    group = parser.add_argument_group("how to build")
    group.add_argument(
        "--framework",
        choices=[item.value for item in Framework if item is not Framework.HYBRID],
        help="default: by the model's suffix",
    )
    group.add_argument("--weights", type=Path, metavar="FILE", help="second file of a caffe or darknet model")
    group.add_argument("--inputs", action="append", default=[], metavar="NAMES", help="input tensors, comma-separated")
    group.add_argument(
        "--input-size",
        action="append",
        default=[],
        metavar="SIZES",
        help="shape of one input, such as 1,3,224,224; once per input",
    )
    group.add_argument(
        "--outputs", action="append", default=[], metavar="NAMES", help="output tensors, comma-separated"
    )
    group.add_argument(
        "--mean",
        action="append",
        default=[],
        metavar="VALUES",
        help="one number per channel, comma-separated; once per input",
    )
    group.add_argument("--std", action="append", default=[], metavar="VALUES", help="as --mean")
    group.add_argument(
        "--rgb2bgr", action="store_true", help="swap the channels of calibration pictures (quant_img_RGB2BGR)"
    )
    group.add_argument("--target", metavar="CHIP", help="target_platform (default: rk3588)")
    group.add_argument(
        "--dynamic-input",
        action="append",
        default=[],
        metavar="SHAPES",
        help="one set of input shapes of a model for several (dynamic_input), such as 1,3,224,224, several inputs "
        "separated by semicolons; once per set",
    )
    group.add_argument("--batch", type=int, metavar="N", help="rknn_batch_size: N samples a run")
    precision = group.add_mutually_exclusive_group()
    precision.add_argument("--fp16", action="store_true", help="do not quantise (default)")
    precision.add_argument("--int8", action="store_true", help="quantise; needs --dataset")
    group.add_argument("--dataset", type=Path, metavar="FILE", help="calibration samples, one a line")
    group.add_argument(
        "--hybrid",
        type=Path,
        metavar="CFG",
        help="the edited .quantization.cfg: the layers it lists stay in float; with a source model and --int8 "
        "--dataset, or with the .model that hybrid_quantization_step1 wrote (its .data beside it)",
    )
    group.add_argument("--optimization-level", type=int, choices=range(4), metavar="0-3")
    group.add_argument("--method", metavar="NAME", help="quantized_method: layer, channel, group32, ...")
    group.add_argument("--algorithm", metavar="NAME", help="quantized_algorithm: normal, mmse, kl_divergence, gdq")


def add_toolkit_options(parser: argparse.ArgumentParser) -> None:
    """Adds what every command needs that starts the toolkit."""
    parser.add_argument(
        "--toolkit-python",
        type=Path,
        metavar="FILE",
        help="interpreter with rknn-toolkit2 (default: RKPARITY_TOOLKIT_PYTHON, then what setup-toolkit made)",
    )
    parser.add_argument(
        "--timeout", type=float, default=1800.0, metavar="SECONDS", help="for one job of the toolkit (default: 1800)"
    )


def add_toolkit_python(parser: argparse.ArgumentParser, why: str) -> None:
    """Adds --toolkit-python to a command that starts the toolkit in some cases only."""
    parser.add_argument(
        "--toolkit-python",
        type=Path,
        metavar="FILE",
        help=f"{why}: interpreter with rknn-toolkit2 (default: as for simulate)",
    )


def add_local_options(parser: argparse.ArgumentParser) -> None:
    """Adds whether each layer is also judged on the board's own inputs."""
    parser.add_argument(
        "--local",
        choices=["auto", "off"],
        default="auto",
        help="judge each layer on the board's own inputs, with the toolkit's simulator: when something differs and "
        "toolkit, --model and build record are there (auto, kept as DUMPS.local), or never",
    )
    add_toolkit_options(parser)


def local_settings(arguments: argparse.Namespace) -> LocalSettings:
    """The settings these options make."""
    import sys

    from rkparity.flow.local_run import LocalSettings

    return LocalSettings(
        arguments.local == "auto",
        arguments.toolkit_python,
        arguments.timeout,
        say=lambda text: print(text, file=sys.stderr, flush=True),
    )


def has_build_options(arguments: argparse.Namespace) -> bool:
    """Whether any option of `add_build_options` was given."""
    return any(getattr(arguments, name) not in (None, False, []) for name in _OPTION_NAMES)


_OPTION_NAMES = (
    "framework",
    "weights",
    "inputs",
    "input_size",
    "outputs",
    "dynamic_input",
    "batch",
    "mean",
    "std",
    "rgb2bgr",
    "target",
    "fp16",
    "int8",
    "dataset",
    "optimization_level",
    "method",
    "algorithm",
    "hybrid",
)


def spec_from_arguments(arguments: argparse.Namespace, model: Path) -> BuildSpec:
    """The spec the options make for `model`; UsageError naming the option that cannot be read."""
    if not arguments.framework and Framework.of_file(model) is Framework.HYBRID:
        return _step_two(arguments, model)
    if arguments.dataset is not None and not arguments.int8:
        raise UsageError("--dataset is only used by --int8", hint="add --int8, or leave --dataset out")
    return BuildSpec(
        framework=Framework(arguments.framework) if arguments.framework else Framework.of_file(model),
        model=str(model),
        weights=None if arguments.weights is None else str(arguments.weights),
        inputs=_names(arguments.inputs),
        input_size_list=tuple(_integers("--input-size", text) for text in arguments.input_size),
        outputs=_names(arguments.outputs),
        mean_values=tuple(_numbers("--mean", text) for text in arguments.mean),
        std_values=tuple(_numbers("--std", text) for text in arguments.std),
        quant_img_RGB2BGR=arguments.rgb2bgr,
        target_platform=arguments.target or "rk3588",
        do_quantization=arguments.int8,
        dataset=None if arguments.dataset is None else str(arguments.dataset),
        optimization_level=arguments.optimization_level,
        quantized_method=arguments.method,
        quantized_algorithm=arguments.algorithm,
        hybrid=None if arguments.hybrid is None else str(arguments.hybrid),
        extra=_extra(arguments),
    )


def _step_two(arguments: argparse.Namespace, model: Path) -> BuildSpec:
    """The spec of a build from step 1's files, which bring every setting but the configuration."""
    if arguments.hybrid is None:
        raise UsageError(
            f"{model}: is step 1 of hybrid quantisation and its configuration is not given",
            hint="add --hybrid with the edited .quantization.cfg",
        )
    others = [name for name in _OPTION_NAMES if name not in ("hybrid", "weights", "int8", "framework")]
    given = [name for name in others if getattr(arguments, name) not in (None, False, [])]
    if given:
        raise UsageError(
            f"--{given[0].replace('_', '-')}: {model} brings this setting from step 1",
            hint="leave the option out, or give the source model",
        )
    return hybrid_spec(model, arguments.weights, arguments.hybrid)


def _extra(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    extra: dict[str, dict[str, Any]] = {}
    if arguments.dynamic_input:
        sets = [
            [list(_integers("--dynamic-input", shape)) for shape in text.split(";")] for text in arguments.dynamic_input
        ]
        if len({len(shapes) for shapes in sets}) > 1:
            raise UsageError(
                f"--dynamic-input: the sets have {', '.join(str(len(shapes)) for shapes in sets)} shapes",
                hint="give one shape for each input in every set, separated by semicolons",
            )
        extra["config"] = {"dynamic_input": sets}
    if arguments.batch is not None:
        if arguments.batch < 1:
            raise UsageError(f"--batch {arguments.batch}: must be 1 or more")
        extra["build"] = {"rknn_batch_size": arguments.batch}
    return extra


def _names(values: list[str]) -> tuple[str, ...]:
    return tuple(name for value in values for name in value.split(",") if name)


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} {text!r}: must be numbers separated by commas, such as 127.5,127.5,127.5") from None


def _integers(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} {text!r}: must be whole numbers separated by commas, such as 1,3,224,224") from None


def add_board_options(parser: argparse.ArgumentParser, *, positional: bool = False) -> None:
    """Adds the options every command that goes to a board has."""
    explanation = (
        "[user@]host[:port] (names of ~/.ssh/config work), @FILE written by `rkparity emulator start`, "
        "adb: or adb:SERIAL, local: or local:FOLDER for this machine"
    )
    if positional:
        parser.add_argument("board", metavar="BOARD", help=explanation)
    else:
        parser.add_argument("--board", metavar="BOARD", help=explanation)
    group = parser.add_argument_group("connection")
    group.add_argument("--identity", type=Path, metavar="FILE", help="private key to log in with, and no other")
    group.add_argument("--password-file", type=Path, metavar="FILE", help="file whose first line is the password")
    group.add_argument("--jump", metavar="[USER@]HOST[:PORT]", help="go through this host; several: comma-separated")
    group.add_argument(
        "--known-hosts", type=Path, metavar="FILE", help="host keys to trust (default: ~/.ssh/known_hosts)"
    )
    group.add_argument(
        "--accept-new-host-key",
        action="store_true",
        help="trust and remember the key of a board never seen before (a changed key is always refused)",
    )
    group.add_argument(
        "--work-dir",
        metavar="DIR",
        help="folder on the board for the agent and run folders (default: ~/.cache/rkparity)",
    )


def target_of(arguments: argparse.Namespace) -> SshTarget | AdbTarget | LocalTarget:
    """The board that the parsed options name; UsageError or ConfigError when they cannot be used."""
    if not arguments.board:
        raise UsageError("no board given", hint="add --board [user@]host[:port]")
    target = parse_target(arguments.board)
    if not isinstance(target, SshTarget):
        given = [name for name in ("identity", "password_file", "jump", "known_hosts") if getattr(arguments, name)]
        if given:
            raise UsageError(f"--{given[0].replace('_', '-')} has no meaning for {arguments.board}")
        return target
    for name in ("identity", "password_file"):
        path: Path | None = getattr(arguments, name)
        if path is not None and not path.is_file():
            raise UsageError(f"--{name.replace('_', '-')} {path}: no such file")
    return replace(
        target,
        identity=arguments.identity or target.identity,
        known_hosts=arguments.known_hosts or target.known_hosts,
        password_file=arguments.password_file,
        jump=arguments.jump,
        accept_new_host_key=arguments.accept_new_host_key,
    )
