"""Every way a session fails: the call, its code, the sentence, and nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rkparity_agent import native
from rkparity_agent.events import AgentFailure
from rkparity_agent.session import QUERY_NATIVE_OUTPUT_ATTR, OutputRequest, Session, TensorInput
from runtime_double import IMAGE_INPUT, IMAGE_OUTPUT, Double

UINT8, NHWC, INT4 = native.type_number("UINT8"), native.fmt_number("NHWC"), native.type_number("INT4")
IMAGE = TensorInput(bytearray(810), UINT8, NHWC)


def open_session(double: Double) -> Session:
    return Session(str(double.library), str(double.model))


def failure(action: Callable[[], object]) -> AgentFailure:
    with pytest.raises(AgentFailure) as caught:
        action()
    return caught.value


def test_library_that_does_not_exist(double: Double) -> None:
    error = failure(lambda: Session("/nowhere/librknnrt.so", str(double.model)))
    assert (error.kind, error.call, error.exit_code) == ("library", "dlopen", 3)
    assert "/nowhere/librknnrt.so cannot be opened" in error.message
    assert "RKPARITY_LIBRKNNRT" in error.hint


def test_library_that_is_none(double: Double, tmp_path: Path) -> None:
    path = tmp_path / "text.so"
    path.write_text("not a library")
    assert failure(lambda: Session(str(path), str(double.model))).kind == "library"
    error = failure(lambda: Session("libm.so.6", str(double.model)))
    assert error.kind == "library"
    assert error.message == "libm.so.6 does not export rknn_init: it is not an RKNN runtime"


def test_model_that_cannot_be_read(double: Double, tmp_path: Path) -> None:
    error = failure(lambda: Session(str(double.library), "/nowhere/m.rknn"))
    assert (error.kind, error.message) == (
        "file",
        "/nowhere/m.rknn: the model cannot be read: No such file or directory",
    )
    assert "Is a directory" in failure(lambda: Session(str(double.library), str(tmp_path))).message
    (tmp_path / "empty.rknn").touch()
    assert "the file is empty" in failure(lambda: Session(str(double.library), str(tmp_path / "empty.rknn"))).message


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (-1, "RKNN_ERR_FAIL"),
        (-5, "RKNN_ERR_PARAM_INVALID"),
        (-6, "RKNN_ERR_MODEL_INVALID"),
        (-13, "RKNN_ERR_TARGET_PLATFORM_UNMATCH"),
        (-99, "unknown return code"),
    ],
)
def test_init_refused(double: Double, code: int, name: str) -> None:
    double.configure(IMAGE_INPUT, IMAGE_OUTPUT, f"return rknn_init {code}")
    error = failure(lambda: open_session(double))
    assert (error.kind, error.call, error.code, error.code_name) == ("call", "rknn_init", code, name)
    assert error.message.startswith(f"rknn_init returned {code} ({name}): ")
    assert error.hint
    assert double.calls_of("rknn_destroy") == []


def test_failed_query_closes_the_context(double: Double) -> None:
    double.configure(IMAGE_INPUT, IMAGE_OUTPUT, "return rknn_query -5 2")
    error = failure(lambda: open_session(double))
    assert (error.call, error.code) == ("rknn_query", -5)
    assert double.calls_of("rknn_destroy") == ["rknn_destroy"]


@pytest.mark.parametrize("call", ["rknn_inputs_set", "rknn_run", "rknn_outputs_get"])
def test_general_call_refused(double: Double, call: str) -> None:
    double.configure(IMAGE_INPUT, IMAGE_OUTPUT, f"return {call} -5")

    def use() -> None:
        with open_session(double) as session:
            session.set_inputs([IMAGE])
            session.run()
            session.get_outputs([OutputRequest()])

    error = failure(use)
    assert (error.kind, error.call, error.code, error.code_name, error.exit_code) == (
        "call",
        call,
        -5,
        "RKNN_ERR_PARAM_INVALID",
        3,
    )
    assert double.calls()[-1] == "rknn_destroy"


@pytest.mark.parametrize(("call", "code"), [("rknn_create_mem", -4), ("rknn_set_io_mem", -1), ("rknn_mem_sync", -1)])
def test_zero_copy_call_refused_leaves_no_memory(double: Double, call: str, code: int) -> None:
    double.configure(IMAGE_INPUT, IMAGE_OUTPUT, f"return {call} {code}")

    def use() -> None:
        with open_session(double) as session:
            session.bind_input(0, IMAGE)
            session.bind_output(0, OutputRequest())
            session.run()

    error = failure(use)
    assert (error.kind, error.call, error.code) == ("call", call, code)
    made, freed = double.calls_of("rknn_create_mem"), double.calls_of("rknn_destroy_mem")
    assert len(freed) == (0 if call == "rknn_create_mem" else len(made))


@pytest.mark.parametrize("call", ["set_inputs", "bind_input", "bind_output", "get_outputs", "set_core_mask"])
def test_missing_optional_function(double: Double, minimal_library: Path, call: str) -> None:
    actions: dict[str, Callable[[Session], object]] = {
        "set_inputs": lambda session: session.set_inputs([IMAGE]),
        "bind_input": lambda session: session.bind_input(0, IMAGE),
        "bind_output": lambda session: session.bind_output(0, OutputRequest()),
        "get_outputs": lambda session: session.get_outputs([OutputRequest()]),
        "set_core_mask": lambda session: session.set_core_mask(1),
    }
    names = {
        "set_inputs": "rknn_inputs_set",
        "bind_input": "rknn_create_mem",
        "bind_output": "rknn_create_mem",
        "get_outputs": "rknn_outputs_get",
        "set_core_mask": "rknn_set_core_mask",
    }
    with Session(str(minimal_library), str(double.model)) as session:
        error = failure(lambda: actions[call](session))
    assert (error.kind, error.exit_code) == ("unsupported", 3)
    assert error.message == f"{minimal_library} does not export {names[call]}"


@pytest.mark.parametrize(
    ("nbytes", "kind", "pass_through"), [(809, "UINT8", 0), (811, "UINT8", 0), (810, "FLOAT32", 0), (865, "INT8", 1)]
)
@pytest.mark.parametrize("zero_copy", [False, True])
def test_wrong_size_is_refused_before_the_library_sees_it(
    double: Double, nbytes: int, kind: str, pass_through: int, zero_copy: bool
) -> None:
    data = TensorInput(bytearray(nbytes), native.type_number(kind), NHWC, bool(pass_through))
    with open_session(double) as session:
        error = failure(lambda: session.bind_input(0, data) if zero_copy else session.set_inputs([data]))
    assert (error.kind, error.exit_code) == ("usage", 2)
    assert f"input 0 ('x') has {nbytes} bytes" in error.message
    assert double.calls_of("rknn_inputs_set", "rknn_create_mem") == []


def test_wrong_number_of_inputs_and_outputs(double: Double) -> None:
    with open_session(double) as session:
        assert failure(lambda: session.set_inputs([IMAGE, IMAGE])).message == "2 inputs were given, the model has 1"
        assert failure(lambda: session.bind_input(1, IMAGE)).kind == "usage"
        session.set_inputs([IMAGE])
        session.run()
        assert failure(lambda: session.get_outputs([])).message == "0 outputs were asked for, the model has 1"
        assert failure(lambda: session.bind_output(7, OutputRequest())).message == (
            "output 7 does not exist; the model has 1"
        )


def test_type_without_whole_bytes(double: Double) -> None:
    data = TensorInput(bytearray(405), INT4, NHWC)
    with open_session(double) as session:
        assert "cannot be given as type INT4" in failure(lambda: session.set_inputs([data])).message
        assert "cannot be given as type INT4" in failure(lambda: session.bind_input(0, data)).message


def test_run_without_inputs_is_refused(double: Double) -> None:
    """The library would run on stale memory and return 0 (evidence 160_err_run_noset)."""
    with open_session(double) as session:
        assert failure(session.run).message == "input 0 ('x') was not given"
    assert double.calls_of("rknn_run") == []


@pytest.mark.parametrize("zero_copy", [False, True])
def test_output_the_library_never_wrote_is_noticed(double: Double, tmp_path: Path, zero_copy: bool) -> None:
    silent = "rknn_run" if zero_copy else "rknn_outputs_get"
    double.configure(IMAGE_INPUT, IMAGE_OUTPUT, f"silent {silent}")
    with open_session(double) as session:
        if zero_copy:
            session.bind_input(0, IMAGE)
            session.bind_output(0, OutputRequest())
        else:
            session.set_inputs([IMAGE])
        session.run()
        if not zero_copy:
            session.get_outputs([OutputRequest(prealloc=True)])
        saved = session.save_output(0, str(tmp_path / "y.npy"))
    assert saved["untouched"] is True


def test_output_without_memory_is_an_error(double: Double, tmp_path: Path) -> None:
    double.configure(IMAGE_INPUT, IMAGE_OUTPUT, "silent rknn_outputs_get")
    with open_session(double) as session:
        session.set_inputs([IMAGE])
        session.run()
        session.get_outputs([OutputRequest()])
        error = failure(lambda: session.save_output(0, str(tmp_path / "y.npy")))
    assert (error.kind, error.message) == ("data", "output 0 ('y') was not given by the library")


def test_query_an_old_version_lacks(double: Double) -> None:
    double.configure(IMAGE_INPUT, IMAGE_OUTPUT, "return rknn_query -5 9")
    with open_session(double) as session:
        error = failure(lambda: session.attrs(QUERY_NATIVE_OUTPUT_ATTR))
    assert (error.call, error.code) == ("rknn_query", -5)


def test_output_file_that_cannot_be_written(double: Double) -> None:
    with open_session(double) as session:
        session.set_inputs([IMAGE])
        session.run()
        session.get_outputs([OutputRequest()])
        error = failure(lambda: session.save_output(0, "/nowhere/y.npy"))
    assert (error.kind, error.exit_code) == ("file", 3)
    assert error.message == "/nowhere/y.npy.part: cannot be created: No such file or directory"
