"""Makes one network: `python make NAME SHAPE SEED FILE`, with the interpreter of the toolkit's environment."""

from __future__ import annotations

import sys
from pathlib import Path

import detectors
import foreign
import networks
from layers import Net

ONNX = {
    name: getattr(module, name)
    for module, names in (
        (
            detectors,
            (
                "yolov5 yolov6 yolov7 yolov8 yolov10 yolo11 yolox yolov8_one_output yolov8_two_outputs yolov8_seg "
                "yolov8_pose yolov8_obb retinaface"
            ),
        ),
        (
            networks,
            (
                "resnet mobilenet mobilenet_v3 lprnet deeplab ppseg whisper_encoder mobilesam_encoder vit "
                "text_transformer two_inputs"
            ),
        ),
    )
    for name in names.split()
}
OTHERS = {
    name: getattr(foreign, name)
    for name in (
        [
            "torch_resnet",
            "torch_unet",
            "tensorflow_cnn",
            "tensorflow_separable",
            "tflite_cnn",
            "caffe_net",
            "darknet_yolo",
        ]
    )
}


def main() -> int:
    name, sizes, seed, file = sys.argv[1:]
    shape = tuple(int(size) for size in sizes.split(","))
    if name in ONNX:
        net = Net(int(seed))
        ONNX[name](net, shape)
        net.save(Path(file))
    else:
        OTHERS[name](Path(file), int(seed), shape)
    return 0


if __name__ == "__main__":
    sys.exit(main())
