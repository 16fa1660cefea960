"""The line that names the cause, in texts rknn-toolkit2 2.5.0 printed and raised."""

from __future__ import annotations

import pytest

from rkparity.toolkit.cause_line import logged_line, raised_line

WRAPPER = """Traceback (most recent call last):
  File "rknn/api/rknn_log.py", line 344, in rknn.api.rknn_log.error_catch_decorator.error_catch_wrapper
  File "rknn/api/rknn_base.py", line 1559, in rknn.api.rknn_base.RKNNBase.load_onnx
"""
FOLLOWED = """E load_tensorflow:     assert d in name_to_node, "%s is not in graph" % d
E load_tensorflow:            ^^^^^^^^^^^^^^^^^
E load_tensorflow: AssertionError: inputx is not in graph
W If you can't handle this error, please try updating to the latest version of the toolkit2 and runtime from:
  https://example.org/  Path: RKNPU2_SDK / 2.X.X / develop /
  If the error still exists in the latest version, please collect the corresponding error logs and the model,
"""
TENSORFLOW = f"""I rknn-toolkit2 version: 2.5.0
E load_tensorflow: Traceback (most recent call last):
E load_tensorflow:   File "rknn/api/rknn_base.py", line 1693, in rknn.api.rknn_base.RKNNBase.load_tensorflow
{FOLLOWED}"""
NO_TENSORFLOW = """I rknn-toolkit2 version: 2.5.0
W load_tflite: 'import tensorflow' failed! Please use the following command to reinstall it:
W load_tflite:   pip3 install 'tensorflow>=1.12.0,<=2.14.0'
W load_tflite: In addition, it is recommended that the TensorFlow version is consistent with the version of
                the tflite model to avoid the model cannot be parsed.
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"{WRAPPER}ValueError: Unsupported op: Foo!\n", "Unsupported op: Foo!"),
        # The message goes on for lines that say nothing of the cause.
        (f"{WRAPPER}onnx.checker.ValidationError: Field 'shape' is missing.\n==> Context: Bad node spec\nmore\n",
         "onnx.checker.ValidationError: Field 'shape' is missing."),
        (f"{WRAPPER}ValueError: Unsupported layers:\n  Foo, Bar\n", "Unsupported layers: Foo, Bar"),
        (f"{WRAPPER}KeyError: 'a'\n\nDuring handling of the above exception, another exception occurred:\n\n"
         f"{WRAPPER}ValueError: b\n", "b"),
        ("only\none line", "one line"),
        ("", ""),
    ],
)  # fmt: skip
def test_of_a_traceback_the_exception_is_told(text: str, line: str) -> None:
    assert raised_line(text) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (TENSORFLOW, "AssertionError: inputx is not in graph"),
        (NO_TENSORFLOW,
         "load_tflite: 'import tensorflow' failed! Please use the following command to reinstall it:"),
        (f"E load_onnx: {WRAPPER}ValueError: no\n\nE rknn-toolkit2 version: 2.5.0\n", "no"),
        ("W before\nE build: dataset is needed!\nE RKNN: [19:54:01.807] Unkown op target: 0\n",
         "build: dataset is needed!"),
        ("I building ...\n", "I building ..."),
        ("", ""),
    ],
)  # fmt: skip
def test_of_a_log_the_last_error_is_told_before_what_surrounds_it(text: str, line: str) -> None:
    assert logged_line(text) == line
