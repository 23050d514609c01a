"""Writes the fixtures of ONNXFormatTests beside this file. Needs the Python packages onnx, numpy and ml_dtypes.

dtypes.onnx       an initializer per element type and encoding, 6 elements [2, 3]; dtypes.json: numpy's values and bytes
everything.onnx   every message of the format in use, with unknown fields on several levels
external-*/       one external file for all tensors; several, in a folder
rounding.json     float32 bits and what numpy and ml_dtypes round them to
editable.onnx     an initializer and a Constant used twice, in IR version 3
hostile/          files that must be refused; hostile.json: what the error has to mention
"""
import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

HERE = pathlib.Path(__file__).parent
F = T.FLOAT


def write(name, model):
    path = HERE / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString(deterministic=True))


def value(name, shape=(2,), kind=F):
    return h.make_tensor_value_info(name, kind, shape)


def model(nodes, inputs=("x",), outputs=("y",), initializers=(), **more):
    graph = h.make_graph(
        nodes, "g", [value(n) for n in inputs], [value(n) for n in outputs], list(initializers))
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8, **more)


def dtypes():
    tensors, expected = [], {}
    for number in range(1, 29):
        name = T.DataType.Name(number)
        if name == "STRING":
            tensor = h.make_tensor("typed_STRING", number, [2, 3], ["a", "", "grün", "d", "e", "f"])
            tensors.append(tensor)
            expected[tensor.name] = {"type": number, "strings": ["a", "", "grün", "d", "e", "f"]}
            continue
        kind = h.tensor_dtype_to_np_dtype(number)
        signed = name.startswith("INT") or name.startswith("FLOAT") or name in ("DOUBLE", "BFLOAT16")
        values = [0, 1, 2, 3, 1, 0] if name == "UINT2" else [0, 1, -2, -1, 1, 0] if name == "INT2" else [
            0, 1, 2, -3, 4, -6] if signed and name != "FLOAT8E8M0" else [1, 1, 2, 4, 2, 1]
        if name in ("INT64", "UINT64", "INT32", "UINT32", "INT16", "UINT16", "INT8", "UINT8"):
            limits = np.iinfo(kind)
            values = [0, 1, limits.max, limits.min, 7, limits.max - 1]
        if name in ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16"):
            values = [0.1, -0.0, float("inf"), 1e-7, -3.1415926535, 6e4]
        if name.startswith("COMPLEX"):
            values = [1 + 2j, -1j, 0.1, 3, 4j, -5]
        if name == "BOOL":
            values = [True, False, True, True, False, False]
        array = np.array(values).astype(kind).reshape(2, 3)
        raw = numpy_helper.from_array(array, "raw_" + name)
        assert raw.raw_data and raw.data_type == number
        typed = h.make_tensor("typed_" + name, number, [2, 3], array.ravel().tolist()
                              if not name.startswith("COMPLEX") else array.ravel())
        assert not typed.raw_data
        assert np.array_equal(numpy_helper.to_array(typed).astype(np.complex128),
                              numpy_helper.to_array(raw).astype(np.complex128)), name
        entry = {"type": number, "bytes": list(raw.raw_data)}
        if name in ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16"):
            entry["floatBits"] = [int(b) for b in array.astype(np.float32).ravel().view(np.uint32)]
        elif name == "BOOL" or "INT" in name:
            entry["integers"] = [str(int(v)) for v in array.ravel()]
        for tensor in (raw, typed):
            tensors.append(tensor)
            expected[tensor.name] = entry
    write("dtypes.onnx", model([h.make_node("Identity", ["x"], ["y"])], initializers=tensors))
    (HERE / "dtypes.json").write_text(json.dumps(expected))


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def message(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def everything():
    weight = numpy_helper.from_array(np.arange(4, dtype=np.float32).reshape(2, 2), "w")
    weight.doc_string = "a weight"
    weight.metadata_props.add(key="k", value="v")
    sparse = h.make_sparse_tensor(
        h.make_tensor("sparse", F, [2], [1.0, 2.0]), h.make_tensor("", T.INT64, [2], [0, 3]), [2, 2])
    then = h.make_graph([h.make_node("Identity", ["x"], ["t"])], "then", [], [value("t")])
    other = h.make_graph([h.make_node("Identity", ["h"], ["e"])], "else", [], [value("e")])
    nodes = [
        h.make_node("Constant", [], ["c"], name="const", value=h.make_tensor("", T.DOUBLE, [1, 2], [1.5, 2.5])),
        h.make_node("Scale", ["x"], ["h"], name="call", domain="local", overload="o", alpha=2.0),
        h.make_node("If", ["cond"], ["i"], then_branch=then, else_branch=other),
        h.make_node("Odd", ["i", "", "w", "sparse"], ["y", ""], name="odd", domain="custom",
                    doc_string="every kind", f=-0.5, i=-7, s=b"\xff\x00text", fs=[1.0, 2.0], is_=[1, -1], ss=["a", "b"],
                    ts=[weight, weight], gs=[then], tp=h.make_tensor_type_proto(F, [1, "n", None]),
                    tps=[h.make_sequence_type_proto(h.make_tensor_type_proto(T.INT64, None)),
                         h.make_optional_type_proto(h.make_tensor_type_proto(F, [])),
                         h.make_map_type_proto(T.STRING, h.make_tensor_type_proto(F, [2]))]),
    ]
    attribute = nodes[3].attribute.add(name="sp", type=onnx.AttributeProto.SPARSE_TENSOR)
    attribute.sparse_tensor.CopyFrom(sparse)
    attribute = nodes[3].attribute.add(name="sps", type=onnx.AttributeProto.SPARSE_TENSORS)
    attribute.sparse_tensors.add().CopyFrom(sparse)
    nodes[3].metadata_props.add(key="pkg.torch.onnx.name_scopes", value="['', 'layer']")
    device = nodes[3].device_configurations.add(configuration_id="c", pipeline_stage=0)
    spec = device.sharding_spec.add(tensor_name="w", device=[0, -1])
    spec.index_to_device_group_map.add(key=-1, value=[0, 1])
    dim = spec.sharded_dim.add(axis=0)
    dim.simple_sharding.add(dim_param="n", num_shards=2)
    dim.simple_sharding.add(dim_value=4, num_shards=0)
    graph = h.make_graph(
        nodes, "main", [value("x", ["batch", 2]), value("cond", [], T.BOOL), value("w", (2, 2))], [value("y", None)],
        [weight], doc_string="graph", value_info=[value("h", ["batch", None])], sparse_initializer=[sparse])
    graph.metadata_props.add(key="graph", value="meta")
    graph.quantization_annotation.add(tensor_name="w").quant_parameter_tensor_names.add(key="SCALE", value="s")
    body = [h.make_node("Constant", [], ["a"]), h.make_node("Mul", ["in", "a"], ["out"])]
    body[0].attribute.add(name="value_float", type=onnx.AttributeProto.FLOAT, ref_attr_name="alpha")
    function = h.make_function(
        "local", "Scale", ["in"], ["out"], body, [h.make_opsetid("", 17)], ["alpha"],
        [h.make_attribute("beta", 1.0)], overload="o", value_info=[value("a", ())])
    function.metadata_props.add(key="fn", value="")
    whole = h.make_model(
        graph, functions=[function], opset_imports=[h.make_opsetid("", 17), h.make_opsetid("local", 1),
                                                    h.make_opsetid("custom", 3)],
        producer_name="made by hand", producer_version="0", domain="d", model_version=0, doc_string="", ir_version=11)
    whole.metadata_props.add(key="note", value="grün")
    whole.configuration.add(name="c", num_devices=2, device=["gpu0", "gpu1"])
    training = whole.training_info.add()
    training.algorithm.CopyFrom(h.make_graph([h.make_node("Identity", ["w"], ["u"])], "step", [], [value("u")]))
    training.initialization.CopyFrom(h.make_graph([], "init", [], [], [weight]))
    training.update_binding.add(key="w", value="u")
    unknown = varint(999 << 3) + varint(5) + message(1000, b"later") + varint(1001 << 3 | 5) + b"abcd" + varint(
        1002 << 3 | 1) + b"abcdefgh"
    for part in (whole, whole.graph, whole.graph.node[3], whole.graph.initializer[0], whole.functions[0],
                 whole.graph.node[3].attribute[0], whole.graph.input[0].type.tensor_type.shape.dim[0]):
        part.MergeFromString(unknown)
    write("everything.onnx", whole)


def external():
    rng = np.random.default_rng(0)

    def make():
        arrays = {"a": rng.normal(size=(3, 2)).astype(np.float32), "b": rng.normal(size=5).astype(np.float16),
                  "c": np.arange(4, dtype=np.int64)}
        return model([h.make_node("Identity", ["x"], ["y"])],
                     initializers=[numpy_helper.from_array(v, k) for k, v in arrays.items()])

    def place(tensor, location, offset=None, length=None):
        data, tensor.data_location = tensor.raw_data, T.EXTERNAL
        tensor.ClearField("raw_data")
        for key, entry in (("location", location), ("offset", offset), ("length", length)):
            if entry is not None:
                tensor.external_data.add(key=key, value=str(entry))
        return data

    one, blob = make(), b"HEAD"
    for tensor in one.graph.initializer:
        offset = (len(blob) + 15) // 16 * 16
        blob = blob.ljust(offset, b"-")
        blob += place(tensor, "model.onnx.data", offset, len(tensor.raw_data))
    write("external-one/model.onnx", one)
    write("external-one/model.onnx.data", blob + b"TAIL")
    many = make()
    write("external-many/model.onnx", many)
    (HERE / "external-many" / "weights").mkdir(exist_ok=True)
    for tensor in many.graph.initializer:
        location = "./weights/" + tensor.name
        write("external-many/weights/" + tensor.name, place(tensor, location))
    write("external-many/model.onnx", many)


def hostile():
    expected = {}

    def bad(name, made, mention):
        write(f"hostile/{name}.onnx", made)
        expected[name] = mention

    ident = h.make_node("Identity", ["x"], ["y"])
    n = h.make_node
    bad("empty", b"", "no graph")
    bad("no-graph", h.make_model(h.make_graph([], "g", [], [])).SerializeToString()[:2], "no graph")
    bad("cycle", model([n("Add", ["x", "b"], ["a"]), n("Relu", ["a"], ["b"]), n("Relu", ["b"], ["y"])]), "cycle")
    bad("self-cycle", model([n("Add", ["x", "y"], ["y"])]), "cycle")
    bad("unsorted", model([n("Relu", ["a"], ["y"]), n("Relu", ["x"], ["a"])]), "topological order")
    bad("dangling-input", model([n("Add", ["x", "nowhere"], ["y"])]), "'nowhere'")
    bad("dangling-output", model([ident], outputs=["z"]), "'z'")
    bad("duplicate-output", model([ident, n("Relu", ["x"], ["y"])]), "'y', which exists already")
    bad("output-shadows-input", model([n("Relu", ["x"], ["x"])], outputs=["x"]), "'x', which exists already")
    bad("duplicate-input", model([ident], inputs=["x", "x"]), "'x' occurs twice")
    weight = h.make_tensor("w", F, [2], [1, 2])
    bad("duplicate-initializer", model([ident], initializers=[weight, weight]), "'w' occurs twice")
    broken = model([n("Relu", ["x"], ["y"], a=1)])
    broken.graph.node[0].attribute.add(name="a", type=1, f=1)
    bad("duplicate-attribute", broken, "'a' twice")
    inner = h.make_graph([n("Relu", ["later"], ["t"])], "sub", [], [value("t")])
    bad("subgraph-reads-later", model([n("If", ["x"], ["y"], then_branch=inner, else_branch=inner),
                                       n("Relu", ["x"], ["later"])]), "'later'")
    bad("no-op-type", model([n("", ["x"], ["y"])]), "no op_type")
    for name, change, mention in (
            ("raw-too-short", dict(dims=[2], data_type=F, raw_data=b"1234567"), "7 bytes"),
            ("raw-too-long", dict(dims=[2], data_type=F, raw_data=b"123456789"), "9 bytes"),
            ("typed-too-few", dict(dims=[3], data_type=F, float_data=[1, 2]), "2 entries"),
            ("typed-wrong-field", dict(dims=[2], data_type=F, int32_data=[1, 2]), "float_data, not int32_data"),
            ("data-twice", dict(dims=[1], data_type=F, float_data=[1], raw_data=b"1234"), "twice"),
            ("negative-dim", dict(dims=[-1, -2], data_type=F, float_data=[1, 2]), "negative"),
            ("overflowing-dims", dict(dims=[2**62, 4, 2], data_type=F, raw_data=b""), "too many elements"),
            ("overflowing-bytes", dict(dims=[2**61], data_type=F, raw_data=b""), "too many bytes"),
            ("giant-dims", dict(dims=[2**40], data_type=F, raw_data=b"1234"), "4 bytes"),
            ("unknown-type", dict(dims=[1], data_type=99, raw_data=b"1234"), "element type 99"),
            ("no-type", dict(dims=[1], raw_data=b"1234"), "element type 0"),
            ("raw-string", dict(dims=[1], data_type=T.STRING, raw_data=b"1234"), "string_data"),
            ("segment", dict(dims=[1], data_type=F, float_data=[1], segment=dict(begin=0, end=1)), "segments")):
        bad(name, model([ident], initializers=[T(name="w", **change)]), mention)
        bad(name + "-constant", model([n("Constant", [], ["k"], value=T(**change)), ident]), mention)
    bad("location-number", location_number(), "data location 7")
    shaped = model([ident])
    shaped.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -4
    bad("negative-input-dim", shaped, "negative")
    shaped.graph.input[0].type.tensor_type.shape.CopyFrom(
        h.make_tensor_type_proto(F, [2**62, 2**62]).tensor_type.shape)
    bad("overflowing-input-dim", shaped, "too many")
    deep = h.make_graph([n("Identity", ["x"], ["t"])], "d", [], [value("t")])
    for _ in range(26):
        deep = h.make_graph([n("Loop", ["x", "x"], ["t"], body=deep)], "d", [], [value("t")])
    wire = deep.SerializeToString()
    for _ in range(20):
        wire = message(1, message(4, b"Loop") + message(5, message(1, b"body") + message(6, wire)))
    bad("deep-nesting", message(7, wire), "nested deeper")
    bad("many-empty-messages", message(7, message(1, b"") * 100), "no op_type")
    bad("graph-twice", message(7, b"") + message(7, b""), "twice")
    bad("zero-byte-in-name", message(7, message(2, b"a\0b")), "zero byte")
    bad("group", message(7, varint(3 << 3 | 3) + varint(3 << 3 | 4)), "wire type 3")
    bad("wrong-wire-type", message(7, varint(2 << 3) + b"\1"), "wire type 0, not 2")
    bad("field-zero", message(7, b"\0\0"), "field number 0")
    bad("endless-varint", b"\x08" + b"\xff" * 20, "varint")
    bad("length-past-end", b"\x3a\x7fabc", "announced")
    bad("giant-length", b"\x3a\xff\xff\xff\xff\x7f", "announced")
    bad("unknown-attribute-type", message(7, message(1, message(4, b"R") + message(
        5, message(1, b"a") + varint(20 << 3) + varint(77)))), "'a' has no value")
    bad("attribute-without-tensor", message(7, message(1, message(4, b"R") + message(
        5, message(1, b"a") + varint(20 << 3) + varint(4)))), "'a' has no value")
    bad("reference-outside-function", message(7, message(1, message(4, b"R") + message(
        5, message(1, b"a") + message(21, b"b")))), "outside a function")

    def functions(*bodies):
        made = model([n("f0", ["x"], ["y"], domain="local")])
        for index, body in enumerate(bodies):
            made.functions.append(h.make_function("local", f"f{index}", ["i"], ["o"], body, [h.make_opsetid("", 17)]))
        return made

    def call(name, source, target):
        return n(name, [source], [target], domain="local")

    bad("recursive-function", functions([call("f0", "i", "o")]), "calls itself")
    bad("mutually-recursive", functions([call("f1", "i", "o")], [call("f0", "i", "o")]), "calls itself")
    chain = [[call(f"f{k + 1}", "i", "m"), call(f"f{k + 1}", "m", "o")] for k in range(40)]
    bad("exploding-functions", functions(*chain, [n("Relu", ["i"], ["o"])]), "inlining")
    twice = functions([n("Relu", ["i"], ["o"])])
    twice.functions.append(twice.functions[0])
    bad("duplicate-function", twice, "defined twice")
    bad("dangling-function-output", functions([n("Relu", ["i"], ["q"])]), "output 'o'")
    bad("sparse-shape", sparse_model(), "sparse tensor needs")
    (HERE / "hostile.json").write_text(json.dumps(expected, indent=0))


def location_number():
    tensor = message(8, b"w") + varint(2 << 3) + b"\1" + message(4, b"\0\0\0\0") + varint(14 << 3) + b"\7"
    return message(7, message(5, tensor))


def sparse_model():
    made = model([h.make_node("Identity", ["x"], ["y"])])
    made.graph.sparse_initializer.append(onnx.SparseTensorProto(
        values=h.make_tensor("s", F, [2], [1, 2]), indices=h.make_tensor("", T.INT64, [3], [0, 1, 2]), dims=[4]))
    return made


def rounding():
    bits = [0x3F801000, 0x3F803000, 0x3F808000, 0x3F818000, 0x3F800001, 0x33000000, 0x33000001, 0x33C00000,
            0x477FE000, 0x477FF000, 0x477FEFFF, 0x7F7FFFFF, 0x7F800000, 0xFF800000, 0x80000000, 0x00000001,
            0x387FC000, 0xB87FF000, 0x40490FDB, 0xC2F6E979]
    values = np.array(bits, dtype=np.uint32).view(np.float32)
    half = h.tensor_dtype_to_np_dtype(T.FLOAT16)
    brain = h.tensor_dtype_to_np_dtype(T.BFLOAT16)
    with np.errstate(over="ignore"):
        (HERE / "rounding.json").write_text(json.dumps({
            "float32": bits,
            "float16": [int(v) for v in values.astype(half).view(np.uint16)],
            "bfloat16": [int(v) for v in values.astype(brain).view(np.uint16)],
            "float64": [int(v) for v in values.astype(np.float64).view(np.uint64)]}))


def editable():
    made = model([h.make_node("Constant", [], ["k"], value=h.make_tensor("", F, [2], [5, 6])),
                  h.make_node("Mul", ["x", "w"], ["m"]), h.make_node("Mul", ["m", "w"], ["n"]),
                  h.make_node("Add", ["n", "k"], ["y"])], inputs=["x", "w"],
                 initializers=[numpy_helper.from_array(np.array([1, 2], dtype=np.float32), "w")])
    made.ir_version = 3
    made.metadata_props.add(key="old", value="1")
    made.metadata_props.add(key="keep", value="2")
    write("editable.onnx", made)


rounding()
editable()
dtypes()
everything()
external()
hostile()
