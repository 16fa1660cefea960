"""What a board's user writes with the vendor's rknn-toolkit-lite2: MODEL OUTPUT_PREFIX INPUT.npy ... [-- INPUT.npy ...]

Each `--` begins another inference in the same runtime; its outputs are OUTPUT_PREFIX<inference>_<output>.npy.
"""

import sys

import numpy as np
from rknnlite.api import RKNNLite

model, prefix, *words = sys.argv[1:]
runs = [[]]
for word in words:
    if word == "--":
        runs.append([])
    else:
        runs[-1].append(word)
lite = RKNNLite()
if lite.load_rknn(model) != 0 or lite.init_runtime(core_mask=RKNNLite.NPU_CORE_0) != 0:
    sys.exit("the model cannot be used")
for index, inputs in enumerate(runs):
    outputs = lite.inference(inputs=[np.load(path) for path in inputs])
    if outputs is None:
        sys.exit(f"inference {index} failed")
    for number, array in enumerate(outputs):
        np.save(f"{prefix}{f'{index}_' if index else ''}{number}.npy", array)
        print(index, number, array.dtype, array.shape)
lite.release()
