"""What a board's user writes with the vendor's rknn-toolkit-lite2: MODEL OUTPUT_PREFIX INPUT.npy ..."""

import sys

import numpy as np
from rknnlite.api import RKNNLite

model, prefix, *inputs = sys.argv[1:]
lite = RKNNLite()
if lite.load_rknn(model) != 0 or lite.init_runtime(core_mask=RKNNLite.NPU_CORE_0) != 0:
    sys.exit("the model cannot be used")
for number, array in enumerate(lite.inference(inputs=[np.load(path) for path in inputs])):
    np.save(f"{prefix}{number}.npy", array)
    print(number, array.dtype, array.shape)
lite.release()
