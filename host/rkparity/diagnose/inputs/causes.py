# ruff: noqa: E501 - one cause a line reads as a table.
"""What each step found in an input means and how to fix it, in terms of the C API."""

from __future__ import annotations

from rkparity.diagnose.registry import Cause, register
from rkparity.findings.finding import FindingStage

UNEXPLAINED = "input.unexplained"

_SET = "RKNN manual 7.2.2, input configuration"
_DATA = "RKNN manual 7.2.2, input data"
_UINT8 = """rknn_input in; memset(&in, 0, sizeof in);
in.type = RKNN_TENSOR_UINT8; in.fmt = RKNN_TENSOR_NHWC;
in.buf = pixels; in.size = width * height * channels;   /* bytes of the declared type */
rknn_inputs_set(ctx, 1, &in);"""
_NORMALIZE = "/* mean_values and std_values were given at conversion: hand over plain pixels */\n" + _UINT8
_SWAP = "cv::cvtColor(image, image, cv::COLOR_BGR2RGB);   /* before rknn_inputs_set */"
_NHWC = """for (int h = 0; h < H; h++) for (int w = 0; w < W; w++) for (int c = 0; c < C; c++)
    nhwc[(h * W + w) * C + c] = nchw[(c * H + h) * W + w];
in.fmt = RKNN_TENSOR_NHWC; in.buf = nhwc;"""
_STRIDE = """rknn_tensor_attr attr; memset(&attr, 0, sizeof attr); attr.index = 0;
rknn_query(ctx, RKNN_QUERY_NATIVE_INPUT_ATTR, &attr, sizeof attr);
for (uint32_t h = 0; h < H; h++)
    memcpy(dst + h * attr.w_stride * C, src + h * src_stride_bytes, W * C);"""
_RESIZE = """float s = std::min((float)W / image.cols, (float)H / image.rows);   /* only if training used a letterbox */
cv::resize(image, inner, cv::Size(image.cols * s, image.rows * s));
cv::copyMakeBorder(inner, input, top, bottom, left, right, cv::BORDER_CONSTANT, cv::Scalar(114, 114, 114));"""
_FRESH = """memcpy(in_mem->virt_addr, pixels, in_mem->size);        /* every frame, the whole buffer */
rknn_mem_sync(ctx, in_mem, RKNN_MEMORY_SYNC_TO_DEVICE);"""
_INT8 = """/* only for data that are already quantised with the input's own scale and zero point */
int8 = clip(round(value / attr.scale) + attr.zp, -128, 127);"""
_YUV = "cv::cvtColor(nv12, rgb, cv::COLOR_YUV2RGB_NV12);   /* or set the RGA colour space mode to the camera's */"

# id, title, cause, fix, code, reference
_TABLE: tuple[tuple[str, str, str, str, str, str], ...] = (
    ("channels.swapped", "The channels are swapped: BGR for RGB", "OpenCV reads pictures as BGR; the model was trained on the other order.",
     "Swap the first and third channel before rknn_inputs_set.", _SWAP, f"{_SET}; airockchip/rknn_model_zoo#390"),
    ("channels.order", "The channels are in another order", "The pixel format of the source is not the one the model was trained on.",
     "Convert the picture to the model's channel order before rknn_inputs_set.", _SWAP, _SET),
    ("layout.nchw_as_nhwc", "An NCHW buffer was given as NHWC", "The buffer holds planes; the runtime takes 4-D input as NHWC.",
     "Transpose to NHWC before rknn_inputs_set; setting fmt = NCHW is not supported for pictures.", _NHWC, f"{_SET}; airockchip/rknn-toolkit2#304"),
    ("layout.nhwc_as_nchw", "An NHWC buffer was read as NCHW", "Interleaved pixels were declared as planes, or given with pass_through.",
     "Set fmt = RKNN_TENSOR_NHWC and pass_through = 0.", _UINT8, _SET),
    ("layout.hw_transposed", "Rows and columns are exchanged in the buffer", "The buffer is stored column by column.",
     "Write the buffer row by row: height first, then width.", _UINT8, _SET),
    ("layout.hw_swapped", "Height and width are swapped", "cv::Size and resize functions take (width, height); the attribute's dims are N, H, W, C.",
     "Resize to Size(W, H) with dims[2] = W and dims[1] = H.", "cv::resize(image, input, cv::Size(attr.dims[2], attr.dims[1]));", _SET),
    ("layout.axes", "The tensor's axes are in another order", "An input that is not 4-D has no layout: the runtime takes its elements in the order of the original model's axes.",
     "Give the elements in the original model's order; fmt = RKNN_TENSOR_UNDEFINED changes nothing in it.", "/* element (i, j, k) of an input of dims {I, J, K} is at (i * J + j) * K + k */", _SET),
    ("layout.channel_padding", "Pixels have four bytes, the model reads three", "The source is RGBA or RGBX.",
     "Drop the fourth byte before rknn_inputs_set.", "cv::cvtColor(rgba, rgb, cv::COLOR_RGBA2RGB);", _SET),
    ("layout.nc1hwc2_as_nhwc", "An NC1HWC2 buffer was given as NHWC", "Native layouts pad the channels to C2; a picture input is NHWC.",
     "Give NHWC, or bind the native attribute with pass_through = 1 in the zero-copy API.", _NHWC, f"{_SET}; airockchip/rknn_model_zoo#156"),
    ("layout.nc1hwc2_as_nchw", "An NC1HWC2 buffer was read as NCHW", "The native layout of one model was handed to the next as planes.",
     "Convert with (n, c, h, w) at ((n*C1 + c/C2)*H*W + h*W + w)*C2 + c%C2.", "", f"{_SET}; airockchip/rknn_model_zoo#156"),
    ("layout.row_stride", "The buffer's row stride was not honoured", "Rows in the source are padded; they were copied as one block.",
     "Copy row by row with the source's stride.", _STRIDE, "RKNN manual, zero-copy API; airockchip/rknn-toolkit2#5, rockchip-linux/rknpu2#35"),
    ("layout.packed_rows", "Packed rows in a memory with w_stride", "The input memory's rows are w_stride pixels apart; the pixels were copied as one block.",
     "Query the native attribute, allocate size_with_stride, copy row by row.", _STRIDE, "RKNN manual, zero-copy API; airockchip/rknn-toolkit2#5"),
    ("layout.offset", "The buffer starts at the wrong place", "A header, an offset or an off-by-one in the pointer.",
     "Point rknn_input.buf at the first byte of the first pixel.", _UINT8, _SET),
    ("dtype.float32_as_uint8", "float32 data were given as uint8", "rknn_input.type says UINT8, the buffer holds floats.",
     "Set type = RKNN_TENSOR_FLOAT32 and size = elements * 4, or hand over uint8 pixels.", _UINT8, f"{_SET}; rockchip-linux/rknpu2#9"),
    ("dtype.float16_as_uint8", "float16 data were given as uint8", "rknn_input.type says UINT8, the buffer holds float16.",
     "Set type = RKNN_TENSOR_FLOAT16 and size = elements * 2, or hand over uint8 pixels.", _UINT8, _SET),
    ("dtype.int8_for_uint8", "uint8 pixels were given with type INT8", "INT8 means already quantised: values above 127 become negative.",
     "Set type = RKNN_TENSOR_UINT8.", _UINT8, f"{_SET}; airockchip/rknn_model_zoo#396"),
    ("dtype.halved_int8", "Halved pixels were given with type INT8", "INT8 means already quantised with the input's scale and zero point.",
     "Set type = RKNN_TENSOR_UINT8 and give the pixels unchanged.", _UINT8, _SET),
    ("dtype.offset_128", "Pixels minus 128", "Pixels were turned into signed numbers by hand.", "Give the pixels unchanged, as UINT8.", _UINT8, _SET),
    ("dtype.saturated", "Values above 127 are cut", "Pixels were converted to int8, which ends at 127.",
     "Give UINT8; in zero-copy set attr.type = RKNN_TENSOR_UINT8 before rknn_set_io_mem.", _UINT8, f"{_SET}; airockchip/rknn-toolkit2#526"),
    ("dtype.wrapped", "Values wrapped around at 256", "Arithmetic on uint8 overflowed.", "Compute in int or float and saturate (cv::saturate_cast).", "", _SET),
    ("dtype.truncated", "Fractions were dropped by a cast", "Normalised floats were stored in an integer buffer.",
     "Keep normalised data in float buffers with type FLOAT32, or give plain uint8 pixels.", _UINT8, f"{_SET}; airockchip/rknn-toolkit2#529"),
    ("values.normalized_twice", "The input was normalised twice", "mean_values/std_values were set at conversion and the application normalises as well.",
     "Remove the normalisation from the application.", _NORMALIZE, f"{_SET}; rockchip-linux/rknn-toolkit2#32"),
    ("values.not_normalized", "The input was not normalised", "The model does not hold mean and std, so the application has to normalise.",
     "Normalise in the application and give FLOAT32, or set mean_values/std_values at conversion.", "f[i] = (pixel[i] - mean[c]) / std[c];", _SET),
    ("values.div255", "The pixels were divided by 255", "The normalisation done elsewhere expects pixels 0..255.", "Do not divide by 255 in the application.", _NORMALIZE, f"{_SET}; airockchip/rknn-toolkit2#529"),
    ("values.div255_twice", "The pixels were divided by 255 twice", "Both the application and a library (or the model) scale.", "Scale once.", _NORMALIZE, _SET),
    ("values.mean_only", "Only the mean was subtracted", "The division by std is missing, or was left to the model.", "Do both or neither; with mean_values/std_values in the model: neither.", _NORMALIZE, _SET),
    ("values.std_only", "Only std was applied", "The subtraction of the mean is missing, or was left to the model.", "Do both or neither; with mean_values/std_values in the model: neither.", _NORMALIZE, _SET),
    ("values.div255_missing_in_mean", "mean/std for 0..255 on pixels 0..1", "The pixels were divided by 255 first.", "Divide mean and std by 255 as well, or not the pixels.", _NORMALIZE, _SET),
    ("values.div255_missing", "mean/std for 0..1 on pixels 0..255", "The division by 255 is missing.", "Divide the pixels by 255 first, or use mean/std times 255.", _NORMALIZE, _SET),
    ("values.mean_std_order", "mean and std in the wrong channel order", "BGR means on RGB data, or the reverse.", "Give mean and std in the order of the channels.", "", f"{_SET}; airockchip/rknn_model_zoo#390"),
    ("values.mean_order", "The mean is in the wrong channel order", "BGR means on RGB data, or the reverse.", "Give the mean in the order of the channels.", "", f"{_SET}; airockchip/rknn_model_zoo#390"),
    ("values.other_normalization", "Another normalisation than the model's", "Mean and std of another model were used.", "Use the model's own mean and std, once.", _NORMALIZE, _SET),
    ("values.minus_128", "128 was subtracted", "Pixels were shifted towards signed numbers and cut at 0.", "Give the pixels unchanged, as UINT8.", _UINT8, _SET),
    ("values.halved", "The values are halved", "Pixels were scaled to 7 bits.", "Give the pixels unchanged, as UINT8.", _UINT8, _SET),
    ("values.doubled", "The values are doubled", "Pixels were scaled from 7 bits, or exposed twice.", "Give the pixels unchanged, as UINT8.", _UINT8, _SET),
    ("values.inverted", "The values are inverted", "The picture is a negative.", "Give 255 - x, or what the model was trained on.", "", _SET),
    ("values.linear", "Brightness and contrast differ", "Each channel is a linear function of the right one; no common mistake has these numbers.",
     "Compare the application's preprocessing with the simulator's, number by number.", "", _DATA),
    ("values.zero_point_missing", "Quantised without the zero point", "The application quantised the input itself.", "Add attr.zp, or give UINT8/FLOAT32 and let the runtime quantise.", _INT8, _SET),
    ("values.scale_missing", "Quantised without the scale", "The application rounded instead of dividing by the scale.", "Divide by attr.scale, or give FLOAT32.", _INT8, _SET),
    ("values.zero_point_wrong", "Quantised with another zero point", "The zero point is another tensor's or an older build's.", "Query it: rknn_query(RKNN_QUERY_INPUT_ATTR).", _INT8, _SET),
    ("values.scale_wrong", "Quantised with another scale", "The scale is another tensor's or an older build's.", "Query it: rknn_query(RKNN_QUERY_INPUT_ATTR).", _INT8, _SET),
    ("values.quantized_wrapped", "Quantised values wrapped around", "The application cast to int8 without saturating.", "Clip to -128..127 before the cast.", _INT8, _SET),
    ("geometry.stretched", "Stretched, not as expected", "The reference was made with another way of resizing.", "Resize as in training: same aspect, same interpolation.", _RESIZE, "RKNN manual 7.2.2; rockchip-linux/rknpu2#85"),
    ("geometry.letterboxed", "Letterboxed, not as expected", "The reference was stretched, or padded elsewhere.", "Resize as in training: same padding side, same size.", _RESIZE, "RKNN manual 7.2.2; rockchip-linux/rknpu2#85"),
    ("geometry.resampled", "Resized with another interpolation", "The same resizing with another interpolation or half-pixel convention.", "Use the interpolation of training (OpenCV INTER_LINEAR is the toolkit's).", "", _DATA),
    ("geometry.pad_value", "The padding has another value", "The letterbox was filled with another colour.", "Fill with the value of training (often 114).", _RESIZE, _DATA),
    ("geometry.cropped", "Cropped", "Only a part of the picture was used.", "Resize the whole picture, or crop the reference in the same way.", _RESIZE, _DATA),
    ("geometry.shifted", "Shifted by whole pixels", "The copy started at the wrong row or column, or RGA aligned the rectangle.", "Check offsets and RGA alignment.", "", "rockchip-linux/rknpu2#35; airockchip/rknn-toolkit2#122"),
    ("geometry.flip_horizontal", "Mirrored left to right", "The camera or RGA mirrors.", "Switch mirroring off.", "cv::flip(image, image, 1);", _DATA),
    ("geometry.flip_vertical", "Mirrored top to bottom", "The picture is stored bottom up (BMP) or flipped.", "Flip it.", "cv::flip(image, image, 0);", _DATA),
    ("geometry.rotated_180", "Rotated by 180 degrees", "The camera is mounted upside down.", "Rotate it.", "cv::rotate(image, image, cv::ROTATE_180);", _DATA),
    ("geometry.rotated_90_left", "Rotated by 90 degrees to the left", "The camera's orientation (EXIF) was ignored.", "Rotate it back.", "cv::rotate(image, image, cv::ROTATE_90_CLOCKWISE);", _DATA),
    ("geometry.rotated_90_right", "Rotated by 90 degrees to the right", "The camera's orientation (EXIF) was ignored.", "Rotate it back.", "cv::rotate(image, image, cv::ROTATE_90_COUNTERCLOCKWISE);", _DATA),
    ("geometry.transposed", "Rows and columns exchanged", "The buffer is W, H, C instead of H, W, C.", "Write it row by row.", "cv::transpose(image, image);", _DATA),
    ("geometry.transposed_180", "Transposed and rotated", "Rows and columns exchanged, and upside down.", "Check the order of the axes.", "", _DATA),
    ("colour.yuv_as_rgb", "YUV was given as RGB", "No colour conversion was done.", "Convert to RGB first.", _YUV, _DATA),
    ("colour.yuv_standard", "YUV decoded by another standard", "BT.601 and BT.709 were mixed.", "Decode with the camera's matrix.", _YUV, _DATA),
    ("colour.yuv_range", "YUV range mixed up", "Full and limited range were mixed.", "Decode with the camera's range.", _YUV, _DATA),
    ("colour.yuv_standard_and_range", "YUV standard and range mixed up", "Another matrix and another range.", "Decode with the camera's matrix and range.", _YUV, _DATA),
    ("colour.uv_swapped", "U and V exchanged", "NV12 was decoded as NV21.", "Use the right conversion code.", _YUV, _DATA),
    ("colour.chroma_shift", "The colours are moved against the brightness", "The chroma plane starts at the wrong place (height alignment).", "Use the buffer's vertical stride for the chroma plane.", "uint8_t *uv = nv12 + hor_stride * ver_stride;", _DATA),
    ("colour.chroma_halved", "Colours at half resolution", "The picture went through 4:2:0.", "Expected with camera input; calibrate with such pictures.", "", _DATA),
    ("colour.grey", "A grey picture", "All channels hold the brightness.", "Give the colour picture.", "", _DATA),
    ("colour.limited_range", "Values squeezed into 16..235", "RGB in limited range.", "Convert to full range.", _YUV, _DATA),
    ("colour.full_range", "Values stretched from 16..235", "Full-range data were treated as limited.", "Do not stretch.", _YUV, _DATA),
    ("stale.zero", "The input is all zero", "The buffer was never filled, was not synced, or its values were truncated to 0.", "Fill and sync the buffer that is bound; check rknn_inputs_set's return code and log.", _FRESH, f"{_DATA}; airockchip/rknn-toolkit2#529"),
    ("stale.constant", "The input is constant", "The buffer holds one value.", "Fill and sync the buffer that is bound.", _FRESH, _DATA),
    ("stale.previous", "The input of an earlier run", "The buffer was not updated or the cache not synced before rknn_run.", "Write the frame before each run and sync.", _FRESH, "PaddlePaddle/FastDeploy#1989"),
    ("stale.partly_filled", "Only the first part was filled", "The copy was too short.", "Copy width * height * channels bytes.", _FRESH, _DATA),
)  # fmt: skip

register(
    Cause(f"input.{identifier}", FindingStage.INPUT, title, cause, fix, code, reference)
    for identifier, title, cause, fix, code, reference in _TABLE
)
register(
    [
        Cause(
            UNEXPLAINED,
            FindingStage.INPUT,
            "The input differs and no known mistake explains it",
            "No chain of known mistakes turns the expected input into the observed one.",
            "Look at both pictures; save the buffer right before rknn_inputs_set and compare it with the simulator's input.",
            "",
            _DATA,
        )
    ]
)
