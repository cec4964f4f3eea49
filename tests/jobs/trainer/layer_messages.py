"""Tables of the messages of data layers and of old formats, with Caffe's field numbers; see `messages`."""

from __future__ import annotations

Fields = list[tuple[str, int, str]]


def _numbered(text: str, kind: str) -> Fields:
    pairs = (one.partition(":") for one in text.split())
    return [(name, int(number), kind) for name, _, number in pairs]


_DEPRECATED: Fields = [
    ("scale", 2, "float=1"),
    ("mean_file", 3, "string"),
    ("batch_size", 4, "uint32"),
    ("crop_size", 5, "uint32=0"),
    ("mirror", 6, "bool=0"),
]
PARAMS: Fields = [
    ("dropout_param", 108, "DropoutParameter"),
    ("lrn_param", 118, "LRNParameter"),
    ("concat_param", 104, "ConcatParameter"),
    ("data_param", 107, "DataParameter"),
    ("hdf5_data_param", 112, "HDF5DataParameter"),
    ("hdf5_output_param", 113, "HDF5OutputParameter"),
    ("image_data_param", 115, "ImageDataParameter"),
    ("window_data_param", 129, "WindowDataParameter"),
    ("embed_param", 137, "EmbedParameter"),
    ("cos_data_param", 10010, "CoSDataParameter"),
    *_numbered(
        "argmax_param:103 batch_norm_param:139 bias_param:141 clip_param:148 "
        "contrastive_loss_param:105 crop_param:144 dummy_data_param:109 eltwise_param:110 elu_param:140 "
        "exp_param:111 flatten_param:135 hinge_loss_param:114 log_param:134 mvn_param:120 "
        "parameter_param:145 power_param:122 prelu_param:131 python_param:130 recurrent_param:146 "
        "reduction_param:136 relu_param:123 reshape_param:133 scale_param:142 sigmoid_param:124 "
        "spp_param:132 slice_param:126 swish_param:147 tanh_param:127 threshold_param:128 tile_param:138",
        "AnyParameter",
    ),
]
"""Of LayerParameter, but for those that the trainer reads."""
MESSAGES: dict[str, Fields] = {
    "AnyParameter": [],
    "CoSDataParameter": [
        ("source", 1, "string"),
        ("batch_size", 2, "uint32"),
        ("shuffle", 3, "bool=0"),
        ("dataframe_format", 4, "string=parquet"),
        ("top", 5, "Top*"),
    ],
    "Top": [
        ("name", 1, "string"),
        ("type", 2, "DataType"),
        *_numbered("channels:3 height:4 width:5", "uint32"),
        *_numbered("out_channels:6 out_height:7 out_width:8", "uint32=0"),
        ("sample_num_axes", 9, "uint32=3"),
        ("transform_param", 10, "TransformationParameter"),
        ("transpose", 11, "bool=0"),
    ],
    "EmbedParameter": [("input_dim", 2, "uint32")],
    "DropoutParameter": [("dropout_ratio", 1, "float=0.5")],
    "LRNParameter": [
        ("local_size", 1, "uint32=5"),
        ("alpha", 2, "float=1"),
        ("beta", 3, "float=0.75"),
        ("k", 5, "float=1"),
    ],
    "ConcatParameter": [("concat_dim", 1, "uint32=1"), ("axis", 2, "int32=1")],
    "HDF5OutputParameter": [("file_name", 1, "string")],
    "DataParameter": [
        ("source", 1, "string"),
        *_DEPRECATED,
        ("rand_skip", 7, "uint32=0"),
        ("backend", 8, "DB=0"),
        ("force_encoded_color", 9, "bool=0"),
        ("prefetch", 10, "uint32=4"),
    ],
    "HDF5DataParameter": [("source", 1, "string"), ("batch_size", 2, "uint32"), ("shuffle", 3, "bool=0")],
    "ImageDataParameter": [
        ("source", 1, "string"),
        *_DEPRECATED,
        ("rand_skip", 7, "uint32=0"),
        ("shuffle", 8, "bool=0"),
        ("new_height", 9, "uint32=0"),
        ("new_width", 10, "uint32=0"),
    ],
    "WindowDataParameter": [
        ("source", 1, "string"),
        *_DEPRECATED,
        ("fg_threshold", 7, "float=0.5"),
        ("bg_threshold", 8, "float=0.5"),
        ("fg_fraction", 9, "float=0.25"),
        ("context_pad", 10, "uint32=0"),
        ("crop_mode", 11, "string=warp"),
    ],
    "V0LayerParameter": [
        ("name", 1, "string"),
        ("type", 2, "string"),
        ("num_output", 3, "uint32"),
        ("biasterm", 4, "bool=1"),
        ("weight_filler", 5, "FillerParameter"),
        ("bias_filler", 6, "FillerParameter"),
        *_numbered("pad:7 kernelsize:8 group:9 stride:10", "uint32"),
        ("pool", 11, "PoolMethod=0"),
        *_numbered("dropout_ratio:12 alpha:14 beta:15 k:22 scale:17", "float"),
        *_numbered("local_size:13 batchsize:19 cropsize:20 concat_dim:65", "uint32"),
        ("source", 16, "string"),
        ("meanfile", 18, "string"),
        ("mirror", 21, "bool=0"),
        ("blobs", 50, "BlobProto*"),
        ("blobs_lr", 51, "float*"),
        ("weight_decay", 52, "float*"),
        ("rand_skip", 53, "uint32=0"),
        *_numbered("det_fg_threshold:54 det_bg_threshold:55 det_fg_fraction:56", "float"),
        ("det_context_pad", 58, "uint32=0"),
        ("det_crop_mode", 59, "string=warp"),
        *_numbered("new_num:60 new_channels:61 new_height:62 new_width:63", "int32"),
        ("shuffle_images", 64, "bool=0"),
        ("hdf5_output_param", 1001, "HDF5OutputParameter"),
    ],
    "V1LayerParameter": [
        ("layer", 1, "V0LayerParameter"),
        ("bottom", 2, "string*"),
        ("top", 3, "string*"),
        ("name", 4, "string"),
        ("type", 5, "LayerType"),
        ("blobs", 6, "BlobProto*"),
        ("blobs_lr", 7, "float*"),
        ("weight_decay", 8, "float*"),
        ("include", 32, "NetStateRule*"),
        ("exclude", 33, "NetStateRule*"),
        ("loss_weight", 35, "float*"),
        ("param", 1001, "string*"),
        ("blob_share_mode", 1002, "DimCheckMode*"),
        ("accuracy_param", 27, "AccuracyParameter"),
        ("concat_param", 9, "ConcatParameter"),
        ("convolution_param", 10, "ConvolutionParameter"),
        ("data_param", 11, "DataParameter"),
        ("dropout_param", 12, "DropoutParameter"),
        ("hdf5_data_param", 13, "HDF5DataParameter"),
        ("hdf5_output_param", 14, "HDF5OutputParameter"),
        ("image_data_param", 15, "ImageDataParameter"),
        ("infogain_loss_param", 16, "InfogainLossParameter"),
        ("inner_product_param", 17, "InnerProductParameter"),
        ("lrn_param", 18, "LRNParameter"),
        ("pooling_param", 19, "PoolingParameter"),
        ("window_data_param", 20, "WindowDataParameter"),
        ("memory_data_param", 22, "MemoryDataParameter"),
        ("transform_param", 36, "TransformationParameter"),
        ("softmax_param", 39, "SoftmaxParameter"),
        ("loss_param", 42, "LossParameter"),
        *_numbered(
            "argmax_param:23 contrastive_loss_param:40 dummy_data_param:26 eltwise_param:24 exp_param:41 "
            "hinge_loss_param:29 mvn_param:34 power_param:21 relu_param:30 sigmoid_param:38 slice_param:31 "
            "tanh_param:37 threshold_param:25",
            "AnyParameter",
        ),
    ],
}
ENUMS = {
    "DataType": {
        name: number
        for number, name in enumerate(
            "STRING INT FLOAT INT_ARRAY FLOAT_ARRAY RAW_IMAGE ENCODED_IMAGE ENCODED_IMAGE_WITH_DIM".split()
        )
    },
    "DB": {"LEVELDB": 0, "LMDB": 1},
    "DimCheckMode": {"STRICT": 0, "PERMISSIVE": 1},
    "LayerType": {
        name: int(number)
        for name, _, number in (
            one.partition(":")
            for one in "NONE:0 ABSVAL:35 ACCURACY:1 ARGMAX:30 BNLL:2 CONCAT:3 CONTRASTIVE_LOSS:37 "
            "CONVOLUTION:4 DATA:5 DECONVOLUTION:39 DROPOUT:6 DUMMY_DATA:32 EUCLIDEAN_LOSS:7 ELTWISE:25 "
            "EXP:38 FLATTEN:8 "
            "HDF5_DATA:9 HDF5_OUTPUT:10 HINGE_LOSS:28 IM2COL:11 IMAGE_DATA:12 INFOGAIN_LOSS:13 "
            "INNER_PRODUCT:14 LRN:15 MEMORY_DATA:29 MULTINOMIAL_LOGISTIC_LOSS:16 MVN:34 POOLING:17 POWER:26 "
            "RELU:18 SIGMOID:19 SIGMOID_CROSS_ENTROPY_LOSS:27 SILENCE:36 SOFTMAX:20 SOFTMAX_LOSS:21 SPLIT:22 "
            "SLICE:33 TANH:23 WINDOW_DATA:24 THRESHOLD:31".split()
        )
    },
}
