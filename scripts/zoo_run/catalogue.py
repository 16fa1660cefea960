"""The models of the zoo: published ones out of PyPI wheels, each with its digest, and networks made by code."""

from __future__ import annotations

from dataclasses import dataclass

PIXELS = (127.5, 127.5)
UNIT = (0.0, 255.0)


@dataclass(frozen=True)
class ZooModel:
    """One model: where it comes from and what it is fed.

    `shape` is the first input's, in the source model's own layout; `scaling` is mean and std of a picture (a number for
    all channels), None for other inputs. `inputs` names the tensors for the toolkit's `load_*`; needed where the
    file leaves sizes open. `kind` is what a sample is: picture, text (a picture with text), normal, tokens.
    """

    name: str
    file: str
    shape: tuple[int, ...]
    framework: str = "onnx"
    scaling: tuple[float, float] | None = UNIT
    kind: str = "picture"
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    more_shapes: tuple[tuple[int, ...], ...] = ()
    package: str = ""
    member: str = ""
    sha256: str = ""
    licence: str = "Apache-2.0"
    maker: str = ""

    @property
    def source(self) -> str:
        """For people: the package, or that it was made here."""
        return self.package or "made, random weights"


def _ppocr(name: str, file: str, sha256: str, shape: tuple[int, ...]) -> ZooModel:
    package, member = "rapidocr-onnxruntime==1.4.4", f"rapidocr_onnxruntime/models/{file}"
    return ZooModel(
        name,
        "model.onnx",
        shape,
        scaling=PIXELS,
        kind="text",
        inputs=("x",),
        package=package,
        member=member,
        sha256=sha256,
    )


def _mediapipe(file: str, size: tuple[int, int], sha256: str, scaling: tuple[float, float] = UNIT) -> ZooModel:
    name = "mediapipe-" + file.rpartition("/")[2].replace("_", "-")
    return ZooModel(
        name,
        "model.tflite",
        (1, *size, 3),
        framework="tflite",
        scaling=scaling,
        package="mediapipe==0.10.21",
        member=f"mediapipe/modules/{file}.tflite",
        sha256=sha256,
    )


PUBLISHED = (
    _ppocr(
        "ppocr-classifier",
        "ch_ppocr_mobile_v2.0_cls_infer.onnx",
        "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
        (1, 3, 48, 192),
    ),
    _ppocr(
        "ppocr-detector",
        "ch_PP-OCRv4_det_infer.onnx",
        "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
        (1, 3, 320, 320),
    ),
    _ppocr(
        "ppocr-recogniser",
        "ch_PP-OCRv4_rec_infer.onnx",
        "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
        (1, 3, 48, 320),
    ),
    ZooModel(
        "nudenet-320n",
        "model.onnx",
        (1, 3, 320, 320),
        inputs=("images",),
        package="nudenet==3.4.2",
        member="nudenet/320n.onnx",
        sha256="c15d8273adad2d0a92f014cc69ab2d6c311a06777a55545f2c4eb46f51911f0f",
        licence="AGPL-3.0",
    ),
    ZooModel(
        "silero-vad",
        "model.onnx",
        (1, 576),
        scaling=None,
        kind="normal",
        more_shapes=((2, 1, 128),),
        package="silero-vad==6.2.3",
        member="silero_vad/data/silero_vad_openvino_16k.onnx",
        sha256="7776b81ad1b0350c15d7f1555943b9232eb53e9ca5d989c6d0cea9ebc8664d87",
        licence="MIT",
    ),
    _mediapipe(
        "face_detection/face_detection_short_range",
        (128, 128),
        "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
        PIXELS,
    ),
    _mediapipe(
        "face_landmark/face_landmark", (192, 192), "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814"
    ),
    _mediapipe(
        "hand_landmark/hand_landmark_lite",
        (224, 224),
        "048edd3645c9bf7397d19a9f6e3a42957d6e414c9bea6598030a2e9b624156e6",
    ),
    _mediapipe(
        "palm_detection/palm_detection_lite",
        (192, 192),
        "e9a4aaddf90dda56a87235303cf00e4c2d3fb28725f68fd88772997dac905c18",
    ),
    _mediapipe(
        "iris_landmark/iris_landmark", (64, 64), "d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f"
    ),
    _mediapipe(
        "selfie_segmentation/selfie_segmentation",
        (256, 256),
        "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
    ),
    _mediapipe(
        "pose_detection/pose_detection",
        (224, 224),
        "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
        PIXELS,
    ),
)
_PICTURE = (1, 3, 160, 160)
_PICTURE_NETWORKS = (
    "resnet",
    "mobilenet",
    "mobilenet_v3",
    "yolov5",
    "yolov6",
    "yolov7",
    "yolov8",
    "yolov8_one_output",
    "yolov8_two_outputs",
    "yolov8_seg",
    "yolov8_pose",
    "yolov8_obb",
    "yolov10",
    "yolo11",
    "yolox",
    "retinaface",
    "deeplab",
    "ppseg",
    "mobilesam_encoder",
    "vit",
)
MADE = (
    *(ZooModel(name.replace("_", "-"), "model.onnx", _PICTURE, maker=name) for name in _PICTURE_NETWORKS),
    ZooModel("lprnet", "model.onnx", (1, 3, 24, 94), maker="lprnet", scaling=PIXELS),
    ZooModel("whisper-encoder", "model.onnx", (1, 80, 300), maker="whisper_encoder", scaling=None, kind="normal"),
    ZooModel("text-transformer", "model.onnx", (1, 20), maker="text_transformer", scaling=None, kind="tokens"),
    ZooModel("torch-resnet", "model.pt", (1, 3, 96, 96), "pytorch", maker="torch_resnet"),
    ZooModel("torch-unet", "model.pt", (1, 3, 96, 96), "pytorch", maker="torch_unet"),
    ZooModel(
        "tensorflow-cnn",
        "model.pb",
        (1, 96, 96, 3),
        "tensorflow",
        inputs=("input",),
        outputs=("probability",),
        maker="tensorflow_cnn",
    ),
    ZooModel(
        "tensorflow-separable",
        "model.pb",
        (1, 96, 96, 3),
        "tensorflow",
        inputs=("input",),
        outputs=("map",),
        maker="tensorflow_separable",
    ),
    ZooModel("tflite-cnn", "model.tflite", (1, 96, 96, 3), "tflite", maker="tflite_cnn"),
    ZooModel("caffe-squeezenet", "model.prototxt", (1, 3, 96, 96), "caffe", maker="caffe_net"),
    ZooModel("darknet-yolov3-tiny", "model.cfg", (1, 3, 96, 96), "darknet", maker="darknet_yolo"),
)
MODELS = (*PUBLISHED, *MADE)
# RKNN.config(target_platform=) of rknn-toolkit2 2.5.0.
TARGETS = (
    "rk3562",
    "rk3566",
    "rk3568",
    "rk3576",
    "rk3588",
    "rv1103",
    "rv1103b",
    "rv1106",
    "rv1106b",
    "rv1126b",
    "rk2118",
)
TARGET_MODEL = ZooModel("mobilenet", "model.onnx", (1, 3, 96, 96), maker="mobilenet")
