"""Writes NodeTests/ beside this file: models of a few operators each, small inputs, and what onnxruntime makes of them;
attention and rotations, of which onnxruntime has only a part, are left to the reference implementation of ONNX.

Run in any folder; needs the Python packages onnx, numpy and onnxruntime. An operator is written as a line of ONNX's own
text format; `outputs` are what the model returns.
"""
import json
import pathlib
import re
import shutil

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

ROOT = pathlib.Path(__file__).parent / "NodeTests"
TYPES = {"float32": "float", "float64": "double", "float16": "float16", "int64": "int64", "int32": "int32", "bool": "bool",
         "int8": "int8", "uint8": "uint8", "uint16": "uint16"}
DOMAINS = {"com.microsoft": 1, "ai.onnx.ml": 5, "ai.onnx.preview": 1, "ai.onnx.preview.training": 1}


def port(name, value):
    return f"{TYPES[str(value.dtype)]}[{','.join(map(str, value.shape))}] {name}"


def onnxruntime_results(model, names, inputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(names, inputs)


def reference_results(model, names, inputs):
    named = onnx.ModelProto()
    named.CopyFrom(model)
    # The evaluator would feed an output without a name to every later input that is left out.
    for number, node in enumerate(named.graph.node):
        node.output[:] = [name or f"unused_{number}_{index}" for index, name in enumerate(node.output)]
    return ReferenceEvaluator(named).run(names, inputs)


def write(name, opset, body, outputs, initializers=None, compute=onnxruntime_results, atol=None, is_onnx=True, **inputs):
    ports = ", ".join(port(key, value) for key, value in inputs.items())
    names = outputs.split()
    domains = f'"" : {opset}' + "".join(
        f', "{domain}" : {version}' for domain, version in DOMAINS.items()
        if re.search(rf"\b{re.escape(domain)}\.[A-Z]", body))
    header = f'<ir_version: 7, opset_import: [{domains}]> g ({ports}) => ({", ".join(names)})'
    model = onnx.parser.parse_model(f"{header} {{ {body} }}")
    for key, value in (initializers or {}).items():
        model.graph.initializer.append(numpy_helper.from_array(value, key))
    inferred = onnx.shape_inference.infer_shapes(model)
    results = compute(inferred, names, inputs)
    for output, value in zip(model.graph.output, results):
        kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        output.CopyFrom(onnx.helper.make_tensor_value_info(output.name, kind, value.shape))
    if is_onnx:
        onnx.checker.check_model(model)
    folder = ROOT / f"test_{name}"
    data = folder / "test_data_set_0"
    data.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
    if atol:
        # What cancels to zero is left with the rounding errors of another order of summation.
        (folder / "data.json").write_text(json.dumps({"rtol": 1e-3, "atol": atol}))
    for kind, values in (("input", inputs.values()), ("output", results)):
        for index, value in enumerate(values):
            tensor = numpy_helper.from_array(np.asarray(value))
            (data / f"{kind}_{index}.pb").write_bytes(tensor.SerializeToString(deterministic=True))


def floats(*shape, scale=1.0, shift=0.0):
    count = int(np.prod(shape))
    values = (np.arange(count) * 37 % 101 / 50 - 1) * scale + shift
    return values.reshape(shape).astype(np.float32)


def integers(*values, kind=np.int64):
    return np.array(values, dtype=kind)


def elementwise():
    x = floats(2, 5, scale=2)
    x[0, 0] = 0
    same = "Neg Abs Exp Relu Sigmoid Tanh Softplus Erf Sign Floor Ceil".split()
    write("functions", 13, "\n".join(f"{f} = {f}(x)" for f in same), " ".join(same), x=x)
    positive = "Sqrt Log Reciprocal".split()
    write("functions_of_positive", 13, "\n".join(f"{f} = {f}(x)" for f in positive), " ".join(positive), x=np.abs(x) + 0.25)
    write("activations", 16, """
        a = LeakyRelu<alpha = 0.2>(x)
        b = Elu<alpha = 0.7>(x)
        c = Selu(x)
        d = Celu<alpha = 1.5>(x)
        e = HardSigmoid<alpha = 0.3>(x)
        f = HardSwish(x)
        g = ThresholdedRelu<alpha = 0.5>(x)
        h = PRelu(x, slope)
        i = Softsign(x)
        j = Shrink<lambd = 0.5, bias = 0.25>(x)""", "a b c d e f g h i j", {"slope": floats(5)}, x=x)
    write("gelu", 20, """
        a = Gelu(x)
        b = Gelu<approximate = "tanh">(x)""", "a b", x=x)
    special = np.array([np.nan, np.inf, -np.inf, -0.0, 1.5, 2.5], np.float32)
    write("special_floats", 13, """
        a = Relu(x)
        b = Clip(x, low, high)
        c = Max(x, low)
        d = Sigmoid(x)
        e = Softplus(x)
        f = Round(x)
        g = IsNaN(x)
        h = IsInf<detect_negative = 0>(x)
        i = Tanh(x)""", "a b c d e f g h i",
        {"low": np.array(-1, np.float32), "high": np.array(2, np.float32)}, x=special)


def broadcasting():
    a, b = floats(2, 1, 3, scale=2), floats(4, 1, shift=0.3)
    body = """
        sum = Add(a, b)
        difference = Sub(a, b)
        product = Mul(a, b)
        quotient = Div(a, b)
        less = Less(a, b)
        equal = Equal(a, a)
        greatest = Max(a, b, one)
        least = Min(a, b)
        picked = Where(less, a, b)
        absolute = Abs(a)
        power = Pow(absolute, b)"""
    outputs = "sum difference product quotient less equal greatest least picked power"
    write("broadcasting", 13, body, outputs, {"one": np.array([0.4], np.float32)}, a=a, b=b)
    i, j = integers([7, -7, 5], [-5, 0, 9]), integers(3, -2, 4)
    write("integers", 13, """
        sum = Add(i, j)
        product = Mul(i, j)
        quotient = Div(i, j)
        rest = Mod(i, j)
        crest = Mod<fmod = 1>(i, j)
        opposite = Neg(i)
        size = Abs(i)
        smaller = Less(i, j)
        least = Min(i, j)
        total = ReduceSum<keepdims = 0>(i)
        greatest = ReduceMax<axes = [0]>(i)""",
        "sum product quotient rest crest opposite size smaller least total greatest", i=i, j=j)
    write("truth", 13, """
        a = And(p, q)
        b = Or(p, q)
        c = Xor(p, q)
        d = Not(p)
        e = Equal(p, q)
        f = Cast<to = 1>(p)
        g = Where(p, x, y)""", "a b c d e f g",
        {"x": floats(2), "y": np.array([9], np.float32)},
        p=np.array([[True], [False]]), q=np.array([True, False]))
    write("casts", 13, """
        whole = Cast<to = 7>(x)
        half = Cast<to = 10>(x)
        back = Cast<to = 1>(half)
        small = Cast<to = 6>(x)
        truth = Cast<to = 9>(x)
        wide = Cast<to = 11>(x)""", "whole half back small truth wide", x=floats(7, scale=1000))


def reductions():
    kinds = "Sum Mean Max Min Prod L1 L2 SumSquare LogSumExp".split()
    body = "\n".join(f"{k} = Reduce{k}<axes = [0, -1], keepdims = {n % 2}>(x)" for n, k in enumerate(kinds[1:]))
    write("reductions", 11, body, " ".join(kinds[1:]), x=floats(2, 3, 4))
    body = "\n".join(f"{k} = Reduce{k}(x, axes)" for k in kinds)
    write("reductions_over_input_axes", 18, body, " ".join(kinds), {"axes": integers(-2)}, x=floats(2, 3, 4, shift=0.1))
    write("reductions_without_axes", 18, """
        all = ReduceMean<keepdims = 0>(x)
        none = ReduceSum<noop_with_empty_axes = 1>(x, empty)
        position = ArgMax<axis = 1, keepdims = 0>(x)
        last = ArgMin<axis = 0, select_last_index = 1>(x)
        running = CumSum<exclusive = 1, reverse = 1>(x, axis)""", "all none position last running",
        {"empty": np.zeros(0, np.int64), "axis": np.array(1, np.int64)}, x=floats(3, 4))


def layout():
    x = floats(2, 3, 4)
    write("slices", 13, """
        a = Slice(x, starts, ends, axes, steps)
        b, c = Split<axis = -1>(x, parts)
        d = Concat<axis = -1>(c, x, b)""", "a b c d",
        {"starts": integers(-1, 3), "ends": integers(-100, 1), "axes": integers(1, -1), "steps": integers(-2, -1),
         "parts": integers(3, 1)}, x=x)
    write("old_attributes", 9, """
        a = Slice<axes = [1, 2], starts = [1, -3], ends = [100, -1]>(x)
        b = Unsqueeze<axes = [0, 4]>(x)
        c = Squeeze<axes = [0]>(b)
        d = ReduceMean<axes = [1]>(x)
        e = Clip<min = -0.5, max = 0.5>(x)
        f, g = Split<axis = 2, split = [1, 3]>(x)
        h = Softmax<axis = 1>(x)
        i = Flatten<axis = 2>(x)
        j = Dropout(x)
        k = Pad<pads = [0, 1, 0, 0, 0, 2], value = 1.5>(x)""", "a c d e f g h i j k", x=x)
    write("pads", 19, """
        a = Pad(x, pads, value)
        b = Pad<mode = "reflect">(x, small, , axes)
        c = Pad<mode = "edge">(x, pads)
        d = Pad<mode = "wrap">(x, small, , axes)
        e = Pad(x, crop)""", "a b c d e",
        {"pads": integers(0, 1, 2, 1, 0, 1), "value": np.array(7, np.float32), "small": integers(1, 2, 1, 0),
         "axes": integers(1, -1), "crop": integers(0, -1, 1, 0, 0, -2)}, x=x)
    write("shape_arithmetic", 13, """
        shape = Shape(x)
        size = Gather(shape, zero)
        row = Unsqueeze(size, first)
        target = Concat<axis = 0>(row, rest)
        a = Reshape(x, target)
        b = Transpose<perm = [2, 0, 1]>(x)
        c = Expand(y, shape)
        d = Tile(y, twice)
        e = ConstantOfShape(row)
        limit = ReduceProd<keepdims = 0>(shape)
        f = Range(zero, limit, five)
        h = Reshape(x, flat)
        g = Squeeze(h, first)""", "a b c d e f g",
        {"zero": np.array(0, np.int64), "first": integers(0), "rest": integers(-1, 2), "twice": integers(2, 1, 3),
         "five": np.array(5, np.int64), "flat": integers(1, 0, -1)},
        x=x, y=floats(1, 3, 1))


def indexing():
    x = floats(3, 4)
    write("indexing", 16, """
        a = Gather<axis = 1>(x, rows)
        b = GatherElements<axis = 0>(x, places)
        c = GatherND(x, tuples)
        d = ScatterElements<axis = 1, reduction = "add">(x, columns, updates)
        e = ScatterND(x, tuples, numbers)
        f = Trilu<upper = 0>(x, diagonal)
        g = OneHot<axis = 0>(rows, depth, pair)
        h, i = TopK<axis = -1, largest = 0>(x, two)""", "a b c d e f g h i",
        {"tuples": integers([0, -1], [2, 1]), "numbers": floats(2), "depth": integers(4), "diagonal": np.array(1, np.int64),
         "pair": np.array([-1, 3], np.float32), "two": integers(2), "updates": floats(3, 2)},
        x=x, rows=integers([2, -1], [0, 2]), places=integers([0, 2, -1, 1]), columns=integers([1, 1], [3, 0], [-2, 2]))
    write("table_of_tokens", 13, "y = Gather(table, tokens)", "y", {"table": floats(5, 3)}, tokens=integers([4, 0], [-1, 4]))


def layers():
    write("products", 13, """
        y = Gemm<transB = 1, alpha = 0.5, beta = 2.0>(x, w, bias)
        z = MatMul(x, v)
        s = Softmax(z)
        t = LogSoftmax<axis = 0>(z)""", "y z s t",
        {"w": floats(4, 3), "bias": floats(4), "v": floats(2, 3, 2)}, x=floats(2, 3, shift=0.2))
    write("convolutions", 11, """
        a = Conv<pads = [1, 0, 0, 1], strides = [2, 1], dilations = [1, 2]>(x, w, bias)
        b = Conv<group = 2, auto_pad = "SAME_LOWER">(x, pair)
        c = MaxPool<kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 1>(x)
        d = AveragePool<kernel_shape = [3, 3], pads = [1, 1, 1, 1], count_include_pad = 1>(x)
        e = GlobalAveragePool(x)""", "a b c d e",
        {"w": floats(1, 2, 2, 2), "bias": np.array([0.5], np.float32), "pair": floats(2, 1, 2, 2)}, x=floats(1, 2, 3, 5))
    channels = {"scale": floats(2, shift=1.5), "bias": floats(2), "mean": floats(2, shift=0.1), "var": floats(2, shift=2)}
    write("normalizations", 17, """
        a = BatchNormalization<epsilon = 0.01>(x, scale, bias, mean, var)
        b = InstanceNormalization(x, scale, bias)
        c = LayerNormalization<axis = -1>(x, row, row)""", "a b c", {**channels, "row": floats(4, shift=1)}, x=floats(2, 2, 4))


def attention():
    low = -np.inf
    additive = np.array([[0.5, -1, low, 0], [low, low, low, low]], np.float32)
    write("attention", 23, """
        plain = Attention(q, k, v)
        causal = Attention<is_causal = 1, scale = 0.3>(q, k, v)
        added, , , with_mask = Attention<softcap = 0.7, qk_matmul_output_mode = 2>(q, k, v, additive)
        seen, , , weights = Attention<qk_matmul_output_mode = 3>(q, k, v, visible)
        both, , , capped = Attention<is_causal = 1, softcap = 0.7, qk_matmul_output_mode = 1>(q, k, v, visible)""",
        "plain causal added with_mask seen weights both capped",
        {"additive": additive,
         "visible": np.array([[[[1, 0, 1, 0], [0, 0, 0, 0]]], [[[0, 1, 1, 1], [1, 1, 0, 0]]]], bool)},
        compute=reference_results, q=floats(2, 4, 2, 3, scale=2), k=floats(2, 2, 4, 3, shift=0.3), v=floats(2, 2, 4, 2))
    write("attention_of_features", 23, """
        y, keys, values, scores = Attention<q_num_heads = 2, kv_num_heads = 1, is_causal = 1>(
            q, k, v, mask, past_k, past_v)""",
        "y keys values scores", {"mask": floats(2, 2, 5)},
        compute=reference_results, q=floats(2, 2, 6, scale=2), k=floats(2, 2, 3, shift=0.2), v=floats(2, 2, 4),
        past_k=floats(2, 1, 3, 3), past_v=floats(2, 1, 3, 4, shift=-0.5))
    write("attention_in_buffers", 24, """
        seen = Attention(q, k, v, visible, , , filled)
        causal, , , weights = Attention<is_causal = 1, qk_matmul_output_mode = 3>(q, k, v, additive, , , filled)""",
        "seen causal weights", {"additive": floats(2, 4), "visible": np.array([[1, 0, 1, 1], [0, 1, 1, 1]], bool)},
        compute=reference_results, q=floats(3, 2, 2, 3, scale=2), k=floats(3, 2, 5, 3, shift=0.3), v=floats(3, 2, 5, 2), filled=integers(3, 4, 1))
    write("attention_windows", 25, """
        near = Attention<left_window_size = 1, right_window_size = 1>(q, k, v)
        recent, , , scores = Attention<is_causal = 1, left_window_size = 2, qk_matmul_output_mode = 2>(
            q, k, v, , past, past)
        filled = Attention<is_causal = 1, left_window_size = 1, right_window_size = 3>(
            q, k, v, , , , lengths)""",
        "near recent scores filled", {"past": floats(2, 1, 2, 3, shift=0.4)},
        compute=reference_results, q=floats(2, 1, 4, 3, scale=2), k=floats(2, 1, 4, 3, shift=0.3), v=floats(2, 1, 4, 3), lengths=integers(4, 2))


def rotations():
    angles = floats(6, 2, scale=3)
    caches = {"cos": np.cos(angles), "sin": np.sin(angles)}
    write("rotary_embedding", 23, """
        halves = RotaryEmbedding(x, cos, sin, positions)
        part = RotaryEmbedding<interleaved = 1, rotary_embedding_dim = 4, num_heads = 2>(features, cos, sin, positions)
        given = RotaryEmbedding<interleaved = 1>(x, cosines, sines)""", "halves part given",
        {**caches, "cosines": np.cos(floats(2, 3, 2)), "sines": np.sin(floats(2, 3, 2))},
        compute=reference_results, x=floats(2, 2, 3, 4), features=floats(2, 3, 12), positions=integers([0, 5, 2], [3, 3, 1]))


def recurrences():
    weights = {"w": floats(1, 12, 2), "r": floats(1, 12, 3, shift=0.1), "b": floats(1, 24), "p": floats(1, 9, shift=0.2)}
    states = {"h": floats(1, 2, 3, scale=0.5), "c": floats(1, 2, 3, shift=0.3)}
    write("lstm", 14, """
        y, y_h, y_c = LSTM<hidden_size = 3>(x, w, r, b)
        z, z_h, z_c = LSTM<hidden_size = 3, direction = "reverse", clip = 0.6>(x, w, r, b, lengths, h, c, p)
        u, u_h, u_c = LSTM<hidden_size = 3, input_forget = 1, activations = ["Sigmoid", "Tanh", "Softsign"]>(
            x, w, r, , , h, c)""", "y y_h y_c z z_h z_c u u_h u_c", {**weights, **states},
        x=floats(4, 2, 2, scale=2), lengths=integers(4, 2, kind=np.int32))
    both = {"w": floats(2, 12, 2), "r": floats(2, 12, 3, shift=0.1), "b": floats(2, 24)}
    write("lstm_directions", 7, """
        y, y_h, y_c = LSTM<hidden_size = 3, direction = "bidirectional",
            activations = ["HardSigmoid", "ScaledTanh", "Relu", "sigmoid", "affine", "elu"],
            activation_alpha = [0.3, 1.2, 0.8, 0.7], activation_beta = [0.4, 0.9, 0.1]>(x, w, r, b, lengths)""",
        "y y_h y_c", both, x=floats(4, 3, 2, scale=2), lengths=integers(3, 4, 1, kind=np.int32))

    write("gru", 14, """
        y, y_h = GRU<hidden_size = 3>(x, w, r, b)
        z, z_h = GRU<hidden_size = 3, linear_before_reset = 1, direction = "reverse", clip = 0.7>(x, w, r, b, lengths, h)
        u, u_h = GRU<hidden_size = 3, linear_before_reset = 1>(x, w, r, b)""", "y y_h z z_h u u_h",
        {"w": floats(1, 9, 2), "r": floats(1, 9, 3, shift=0.1), "b": floats(1, 18), "h": floats(1, 2, 3, scale=0.5)},
        x=floats(4, 2, 2, scale=2), lengths=integers(4, 2, kind=np.int32))
    write("rnn", 14, """
        y, y_h = RNN<hidden_size = 3, direction = "bidirectional", activations = ["Relu", "Tanh"]>(x, w, r, b, lengths, h)
        z, z_h = RNN<hidden_size = 3, clip = 0.5, direction = "bidirectional">(x, w, r)""", "y y_h z z_h",
        {"w": floats(2, 3, 2), "r": floats(2, 3, 3, shift=0.1), "b": floats(2, 6), "h": floats(2, 2, 3, scale=0.5)},
        x=floats(4, 2, 2, scale=2), lengths=integers(3, 4, kind=np.int32))



def control_flow():
    """Bodies that read around them, carry values, collect others, and choose by what is known beforehand."""
    write("branches", 13, """
        shape = Shape(x)
        rows = Gather(shape, zero)
        is_long = Greater(rows, two)
        a = If (is_long) <
            then_branch = then () => (float[N] a) { twice = Add(x, x) a = ReduceSum<keepdims = 0>(twice, axis) },
            else_branch = other () => (float[N] b) { b = ReduceMax<axes = [0], keepdims = 0>(x) }>
        is_short = Not(is_long)
        c = If (is_short) <
            then_branch = then () => (float[M, N] c) { c = Identity(x) },
            else_branch = other () => (float[M, N] d) { d = Mul(x, a) }>""", "a c",
        {"zero": np.array(0, np.int64), "two": np.array(2, np.int64), "axis": integers(0)}, x=floats(3, 2))
    write("loops", 13, """
        h, sums, places = Loop (four, , start) <
            body = step (int64 t, bool go, float[2] before) => (bool on, float[2] h, float[2] sum, int64 place) {
                on = Identity(go)
                row = Gather(x, t)
                both = Add(row, before)
                h = Tanh(both)
                sum = Mul(h, scale)
                place = Mul(t, two)
            }>
        last = Loop ( , yes, zero) <
            body = step (int64 s, bool going, int64 n) => (bool further, int64 next) {
                next = Add(n, two)
                further = Less(next, seven)
            }>
        kept = Loop (four, no, start) <
            body = step (int64 u, bool go, float[2] old) => (bool goes, float[2] new) {
                goes = Identity(go)
                new = Add(old, old)
            }>
        a = Identity(last)""", "h sums places a kept",
        {"four": np.array(4, np.int64), "two": np.array(2, np.int64), "seven": np.array(7, np.int64),
         "zero": np.array(0, np.int64), "yes": np.array(True), "no": np.array(False), "scale": floats(2, shift=0.5)},
        x=floats(4, 2), start=floats(2, shift=0.3))
    write("scans", 16, """
        h, backwards = Scan <num_scan_inputs = 2, scan_input_axes = [0, 1], scan_input_directions = [0, 1],
            scan_output_axes = [1], scan_output_directions = [1],
            body = step (float[2] before, float[2] a, float[2] b) => (float[2] h, float[2] out) {
                sum = Add(before, a)
                h = Sub(sum, b)
                out = Mul(h, scale)
            }> (start, x, z)""", "h backwards", {"scale": floats(2, shift=0.5)},
        x=floats(3, 2), z=floats(2, 3, shift=0.2), start=floats(2, shift=0.3))
    write("sequences", 13, """
        two = SequenceConstruct(x, y)
        three = SequenceInsert(two, z, first)
        a = SequenceAt(three, first)
        rest = SequenceErase(three, last)
        length = SequenceLength(rest)
        b = ConcatFromSequence<axis = 1>(rest)
        none = SequenceEmpty<dtype = 1>()
        one = SequenceInsert(none, y)
        c = ConcatFromSequence<axis = -1, new_axis = 1>(one)
        rows = SplitToSequence<axis = 0, keepdims = 0>(x)
        d = SequenceAt(rows, last)
        parts = SplitToSequence<axis = 1>(x, two_of)
        e = SequenceAt(parts, first)
        given = SplitToSequence<axis = 1>(x, sizes)
        f = SequenceAt(given, first)""", "a b c d e f length",
        {"first": np.array(1, np.int64), "last": np.array(-1, np.int64), "two_of": np.array(2, np.int64),
         "sizes": integers(2, 1)}, x=floats(2, 3), y=floats(2, 3, shift=1), z=floats(2, 3, shift=2))


def resampling():
    x = floats(1, 2, 4, 5)
    whole = {"scales": np.array([1, 1, 2, 1.6], np.float32), "smaller": np.array([1, 1, 0.6, 0.5], np.float32),
             "sizes": integers(1, 2, 3, 7), "pair": integers(3, 7)}
    write("resize", 19, """
        a = Resize<mode = "linear">(x, , scales)
        b = Resize<mode = "linear", coordinate_transformation_mode = "align_corners">(x, , , sizes)
        c = Resize<mode = "linear", coordinate_transformation_mode = "pytorch_half_pixel">(x, , smaller)
        d = Resize<mode = "cubic">(x, , scales)
        e = Resize<mode = "cubic", exclude_outside = 1, cubic_coeff_a = -0.5>(x, , smaller)
        f = Resize<mode = "linear", antialias = 1>(x, , smaller)
        h = Resize<mode = "nearest">(x, , scales)
        i = Resize<mode = "nearest", nearest_mode = "floor", coordinate_transformation_mode = "asymmetric">(x, , , sizes)
        j = Resize<mode = "nearest", nearest_mode = "ceil", axes = [2, 3]>(x, , , pair)""",
        "a b c d e f h i j", whole, x=x)
    write("upsample", 9, """
        a = Upsample<mode = "nearest">(x, scales)
        b = Upsample<mode = "linear">(x, twice)""",
        "a b", {"scales": whole["scales"], "twice": np.array([1, 1, 2, 3], np.float32)}, x=x)
    grid = floats(1, 3, 2, 2, scale=1.3)
    write("grids", 20, """
        a = GridSample<mode = "linear">(x, grid)
        b = GridSample<mode = "linear", padding_mode = "border", align_corners = 1>(x, grid)
        c = GridSample<mode = "linear", padding_mode = "reflection">(x, grid)
        d = GridSample<mode = "nearest", padding_mode = "reflection", align_corners = 1>(x, grid)
        e = GridSample<mode = "cubic">(x, grid)
        f = GridSample<mode = "cubic", padding_mode = "border">(x, grid)
        h = GridSample<mode = "cubic", padding_mode = "reflection", align_corners = 1>(x, grid)
        i = AffineGrid(theta, size)
        j = AffineGrid<align_corners = 1>(theta, size)""", "a b c d e f h i j",
        {"size": integers(2, 3, 2, 3)}, x=x, grid=grid, theta=floats(2, 2, 3))
    write("regions", 16, """
        a = RoiAlign<output_height = 2, output_width = 3, sampling_ratio = 2>(y, rois, images)
        b = RoiAlign<output_height = 2, output_width = 2>(y, rois, images)
        c = RoiAlign<output_height = 2, output_width = 2, sampling_ratio = 1, mode = "max", spatial_scale = 0.5,
                     coordinate_transformation_mode = "output_half_pixel">(y, rois, images)""", "a b c",
        {"images": integers(1, 0), "rois": np.array([[0.3, 0.4, 3.2, 2.9], [1.1, 0.2, 4.6, 3.3]], np.float32)},
        y=floats(2, 2, 4, 5))
    write("deformable", 19, """
        a = DeformConv<group = 2, offset_group = 2, strides = [1, 2], pads = [1, 0, 0, 1]>(y, w, offset, bias, mask)""",
        "a", {"w": floats(2, 2, 2, 2), "bias": floats(2)},
        y=floats(1, 4, 3, 4), offset=floats(1, 16, 3, 2, scale=1.2), mask=floats(1, 8, 3, 2, shift=1))


def transposed_convolutions():
    write("transposed_convolutions", 11, """
        a = ConvTranspose<strides = [2, 1], pads = [1, 0, 0, 1], dilations = [1, 2]>(x, w, bias)
        b = ConvTranspose<strides = [2, 3], output_padding = [1, 2], group = 2>(x, pair)
        c = ConvTranspose<strides = [2, 2], auto_pad = "SAME_UPPER">(x, w)
        d = ConvTranspose<strides = [2, 2], output_shape = [6, 8]>(x, w)
        e = ConvTranspose<strides = [2]>(line, lines)""", "a b c d e",
        {"w": floats(2, 3, 2, 3), "bias": floats(3), "pair": floats(2, 1, 2, 2), "lines": floats(2, 2, 3)},
        x=floats(1, 2, 3, 4), line=floats(1, 2, 4))
    write("columns_to_image", 18, "a = Col2Im<strides = [1, 2], pads = [0, 1, 0, 1]>(x, image, block)", "a",
          {"image": integers(3, 5), "block": integers(2, 3)}, x=floats(1, 12, 6))


def contractions():
    write("einsum", 13, """
        a = Einsum<equation = "bij,jk->bik">(x, w)
        b = Einsum<equation = "bij,bkj->bki">(x, x)
        c = Einsum<equation = "...ij->...ji">(x)
        d = Einsum<equation = "bii">(square)
        e = Einsum<equation = "bi,ij,bj->b">(v, m, u)""", "a b c d e",
        {"w": floats(4, 2), "m": floats(3, 4)},
        x=floats(2, 3, 4), square=floats(2, 3, 3), v=floats(2, 3, shift=0.2), u=floats(2, 4, shift=-0.1))
    write("losses", 13, """
        a = NegativeLogLikelihoodLoss<reduction = "none">(x, t)
        b = NegativeLogLikelihoodLoss<reduction = "mean", ignore_index = 1>(x, t, w)
        c = SoftmaxCrossEntropyLoss<reduction = "none", ignore_index = 2>(x, t)
        d, e = SoftmaxCrossEntropyLoss<reduction = "mean">(x, t, w)
        f = SoftmaxCrossEntropyLoss<reduction = "sum">(x, t)""", "a b c d e f",
        {"w": np.array([0.5, 2, 1], np.float32)}, x=floats(2, 3, 4), t=integers([1, 0, 2, 1], [0, 0, 1, 2]))
    write("determinants", 11, "a = Det(x)", "a", x=floats(2, 3, 3))


def planes():
    x = floats(1, 2, 4, 5)
    write("norm_pools", 18, """
        a = LpPool<kernel_shape = [2, 3], pads = [1, 0, 0, 1], strides = [2, 1]>(x)
        b = LpPool<kernel_shape = [2, 2], p = 3>(x)
        c = GlobalLpPool(x)
        d = Hardmax<axis = 2>(x)
        m, n = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(even)
        e = MaxUnpool<kernel_shape = [2, 2], strides = [2, 2]>(m, n)
        f = CenterCropPad<axes = [3, 2]>(x, shape)""", "a b c d e f", {"shape": integers(3, 7)}, x=x, even=floats(1, 2, 4, 4))
    write("reversals", 11, """
        a = ReverseSequence<batch_axis = 1, time_axis = 0>(x, lengths)
        b = BitShift<direction = "LEFT">(u, shift)
        c = BitShift<direction = "RIGHT">(u, shift)""", "a b c", {"shift": np.array([1, 3, 2], np.uint8)},
        x=floats(4, 2, 2), lengths=integers(3, 1), u=np.array([200, 7, 255], np.uint8))


def signals():
    write("transforms", 20, """
        a = DFT(x, , axis)
        b = DFT<onesided = 1>(x, , axis)
        c = DFT<inverse = 1>(z, length, axis)
        e = HannWindow(size)
        f = BlackmanWindow<periodic = 0>(size)
        h = HammingWindow(size)""", "a b c e f h",
        {"axis": np.array(1, np.int64), "length": np.array(4, np.int64), "size": np.array(5, np.int64)},
        atol=2e-6, x=floats(2, 6, 1), z=floats(2, 5, 2))
    write("short_time_transforms", 17, """
        a = STFT(x, step, window)
        b = STFT<onesided = 0>(x, step, , length)""", "a b",
        {"step": np.array(3, np.int64), "window": floats(4, shift=1), "length": np.array(5, np.int64)}, atol=2e-6,
        x=floats(2, 11, 1))


def transforms_of_many_lengths():
    """Powers of two, products of small primes, a prime with a chirp, and halves of spectra."""
    lengths = {"a": 16, "b": 12, "c": 37, "d": 30}
    body = "".join(f"{key} = DFT(x, length_{key}, axis)\n" for key in lengths)
    write("transforms_of_many_lengths", 20, body + """
        e = DFT<onesided = 1>(x, length_c, axis)
        f = DFT<inverse = 1>(z, length_d, axis)""", "a b c d e f",
        {"axis": np.array(1, np.int64)} | {f"length_{key}": np.array(n, np.int64) for key, n in lengths.items()},
        atol=2e-5, x=floats(2, 30, 1), z=floats(2, 30, 2))


def quantized_products():
    bytes_of = lambda *shape: (np.arange(np.prod(shape)) * 37 % 256).reshape(shape).astype(np.uint8)
    product = "com.microsoft.MatMulNBits<K = 40, N = 3, block_size = 16"
    write("quantized_products", 17, f"""
        a = {product}, bits = 4>(x, four, scales)
        b = {product}, bits = 4>(x, four, scales, zeros, , bias)
        c = {product}, bits = 8>(x, eight, scales)
        d = {product}, bits = 4>(x, four, scales, middles)
        e = com.microsoft.MatMulIntegerToFloat(levels, columns, s, t, z, y, bias)
        f = com.microsoft.DynamicQuantizeMatMul(x, wide, t, y, bias)
        h = com.microsoft.QuantizeLinear(x, s, z16)
        i = com.microsoft.DequantizeLinear(h, s, z16)""", "a b c d e f i",
        {"four": bytes_of(3, 3, 8), "eight": bytes_of(3, 3, 16), "scales": floats(9, scale=0.1, shift=0.2),
         "zeros": bytes_of(6), "middles": floats(9, scale=4, shift=7), "bias": floats(3), "columns": bytes_of(5, 3),
         "wide": bytes_of(40, 3), "s": np.array(0.02, np.float32), "t": floats(3, scale=0.01, shift=0.02),
         "z": np.array(7, np.uint8), "y": bytes_of(3), "z16": np.array(300, np.uint16)},
        atol=1e-4, x=floats(2, 2, 40), levels=bytes_of(4, 5))


def optimizers():
    domain = "ai.onnx.preview.training"
    write("optimizers", 17, f"""
        a, b, ah, bh = {domain}.Adagrad<norm_coefficient = 0.01, decay_factor = 0.1>(rate, count, x, y, g, k, h, j)
        c, cv, ch = {domain}.Adam<norm_coefficient_post = 0.02>(rate, count, x, g, k, h)
        d, dv, dh = {domain}.Adam<alpha = 0.8, norm_coefficient = 0.1>(rate, zero, x, g, k, h)
        e, ev = {domain}.Momentum<alpha = 0.9, beta = 0.5, norm_coefficient = 0.1, mode = "standard">(rate, count, x, g, k)
        f, fv = {domain}.Momentum<alpha = 0.9, beta = 0.5, norm_coefficient = 0.0, mode = "nesterov">(rate, zero, x, g, k)""",
        "a b ah bh c cv ch d dv dh e ev f fv", {"zero": np.array(0, np.int64)}, compute=reference_results, is_onnx=False,
        rate=np.array(0.1, np.float32), count=np.array(3, np.int64), x=floats(2, 3), y=floats(2, 3, shift=0.5),
        g=floats(2, 3, scale=0.3), k=floats(2, 3, scale=0.2), h=abs(floats(2, 3, shift=0.1)), j=abs(floats(2, 3)))


def features():
    pool = "ngram_counts = [0, 2], ngram_indexes = [0, 2, 1, 3], pool_int64s = [1, 2, 0, 1, 2, 2], max_skip_count = 1"
    write("terms", 13, f"""
        a = TfIdfVectorizer<mode = "TF", min_gram_length = 1, max_gram_length = 2, {pool}>(x)
        b = TfIdfVectorizer<mode = "IDF", min_gram_length = 2, max_gram_length = 2, {pool}>(x)
        c = TfIdfVectorizer<mode = "TFIDF", min_gram_length = 1, max_gram_length = 2, weights = [2.0, 3.0, 0.5, 1.5],
            {pool}>(x)
        d = TfIdfVectorizer<mode = "IDF", min_gram_length = 1, max_gram_length = 1, weights = [2.0, 3.0, 0.5, 1.5],
            {pool}>(row)""", "a b c d", x=integers([0, 1, 2, 2, 1, 0, 1], [2, 2, 2, 0, 0, 1, 1]),
        row=integers(1, 1, 0, 5))
    write("region_maxima", 13, """
        a = MaxRoiPool<pooled_shape = [2, 3]>(x, regions)
        b = MaxRoiPool<pooled_shape = [1, 1], spatial_scale = 0.5>(x, regions)""", "a b", x=floats(2, 2, 6, 5),
        regions=np.array([[0, 0, 0, 4, 5], [1, 2, 3, 2, 3], [1, -3, 2, 9, 11], [0, 1, 1, 3, 4]], np.float32))
    write("features", 13, """
        a = ai.onnx.ml.ArrayFeatureExtractor(x, numbers)
        b = ai.onnx.ml.Binarizer<threshold = 0.25>(x)""", "a b", x=floats(2, 5), numbers=integers([3, 0, 3]))
    trees = """n_targets = 2, tree_roots = [0, 2], nodes_modes = uint8[4] {0, 3, 6, 1},
        nodes_splits = float[4] {0.1, -0.2, 0, 0.5}, nodes_featureids = [0, 1, 2, 1], nodes_truenodeids = [1, 0, 2, 4],
        nodes_trueleafs = [0, 1, 1, 1], nodes_falsenodeids = [0, 1, 3, 3], nodes_falseleafs = [1, 1, 0, 1],
        leaf_targetids = [0, 1, 0, 1, 0], leaf_weights = float[5] {1.5, -2, 0.7, 4, -0.3},
        membership_values = float[4] {-1, 2, 3, nan}"""

    def transformed_here(model, names, inputs):
        """onnxruntime numbers the transforms of scores in another order than ONNX."""
        plain = onnx.ModelProto()
        plain.CopyFrom(model)
        for node in plain.graph.node:
            for attribute in [a for a in node.attribute if a.name == "post_transform"]:
                node.attribute.remove(attribute)
        a, b, c, d, e = onnxruntime_results(plain, names, inputs)
        return a, b, c, np.exp(d) / np.exp(d).sum(1, keepdims=True), 1 / (1 + np.exp(-e))

    write("trees", 17, f"""
        a = ai.onnx.ml.TreeEnsemble<{trees}>(x)
        b = ai.onnx.ml.TreeEnsemble<{trees}, aggregate_function = 2>(x)
        c = ai.onnx.ml.TreeEnsemble<{trees}, aggregate_function = 3>(x)
        d = ai.onnx.ml.TreeEnsemble<{trees}, aggregate_function = 0, post_transform = 1>(x)
        e = ai.onnx.ml.TreeEnsemble<{trees}, post_transform = 2>(x)""", "a b c d e", compute=transformed_here,
        x=np.round(floats(7, 3, scale=2)))


def flexible_attention():
    write("flexible_attention", 26, """
        a = ai.onnx.preview.FlexAttention(q, k, v)
        b = ai.onnx.preview.FlexAttention<scale = 0.3, score_mod = capped (float[B,H,L,S] s) => (float[B,H,L,S] t) {
            u = Tanh(s)
            t = Add(u, u)
        }, prob_mod = halved (float[B,H,L,S] p) => (float[B,H,L,S] r) {
            half = Constant<value_float = 0.5>()
            r = Mul(p, half)
        }>(q, k, v)
        c = ai.onnx.preview.FlexAttention<score_mod = causal (float[B,H,L,S] s) => (float[B,H,L,S] t) {
            zero = Constant<value_int = 0>()
            least = Constant<value_float = -inf>()
            shape = Shape(s)
            ones = ConstantOfShape<value = float[1] {1}>(shape)
            seen = Trilu<upper = 0>(ones, zero)
            isseen = Cast<to = 9>(seen)
            t = Where(isseen, s, least)
        }>(q, k, v)""", "a b c", compute=reference_results, q=floats(2, 4, 3, 4), k=floats(2, 2, 3, 4, shift=0.2),
        v=floats(2, 2, 3, 5))


def quantization():
    byte = lambda *values: np.array(values, np.uint8)
    number = lambda value: np.array(value, np.float32)
    write("quantization", 13, """
        a = QuantizeLinear(x, s, z)
        b = QuantizeLinear<axis = 1>(x, scales, signed)
        c = DequantizeLinear(a, s, z)
        d = DequantizeLinear<axis = 1>(b, scales, signed)
        e, f, h = DynamicQuantizeLinear(x)
        i = MatMulInteger(a, w, z, wz)
        j = QLinearMatMul(a, s, z, w, ws, wz, ys, z)""", "a b c d e f h i j",
        {"s": number(0.03), "z": np.array(120, np.uint8), "scales": np.array([0.02, 0.1, 0.5], np.float32),
         "signed": np.array([3, -4, 0], np.int8), "w": byte([7, 250], [0, 3], [99, 128]), "ws": number(0.02),
         "wz": np.array(128, np.uint8), "ys": number(0.1)}, x=floats(2, 3, scale=3))
    write("integer_convolutions", 10, """
        a = ConvInteger<pads = [1, 0, 1, 0]>(x, w, z, wz)
        b = QLinearConv<pads = [0, 1, 0, 1], strides = [1, 2]>(x, s, z, w, scales, zeros, ys, z, bias)""", "a b",
        {"w": (np.arange(16) * 37 % 251).reshape(2, 2, 2, 2).astype(np.uint8), "z": np.array(120, np.uint8),
         "wz": np.array(128, np.uint8), "zeros": byte(128, 128), "s": number(0.02),
         "scales": np.array([0.01, 0.03], np.float32), "ys": number(0.2), "bias": integers(100, -2000, kind=np.int32)},
        x=(np.arange(24) * 53 % 256).reshape(1, 2, 3, 4).astype(np.uint8))


def runtime():
    x, skip = floats(2, 3, 4), floats(2, 3, 4, shift=0.3)
    rows = {"gamma": floats(4, shift=1), "beta": floats(4), "bias": floats(4, shift=-0.2)}
    write("fused_products", 13, """
        a = com.microsoft.FusedMatMul<transB = 1, alpha = 0.5>(x, y)
        b = com.microsoft.FusedMatMul<transA = 1>(x, y)
        c = com.microsoft.FusedGemm<activation = "LeakyRelu", activation_alpha = 0.2, transB = 1>(m, w, bias)
        d = com.microsoft.FusedConv<activation = "Relu", pads = [1, 1, 1, 1]>(plane, kernel, shift)
        e = com.microsoft.FusedConv<activation = "Clip", activation_params = [-0.5, 0.5]>(plane, kernel)
        f = com.microsoft.BiasGelu(x, bias)
        h = com.microsoft.FastGelu(x, bias)
        i = com.microsoft.QuickGelu(x)
        j = com.microsoft.Gelu(x)""", "a b c d e f h i j",
        {"bias": floats(4), "w": floats(4, 4), "kernel": floats(2, 2, 3, 3), "shift": floats(2)},
        x=x, y=skip, m=floats(2, 4, shift=0.1), plane=floats(1, 2, 4, 3))
    write("fused_normalizations", 13, """
        a, , , sum = com.microsoft.SkipLayerNormalization<epsilon = 0.01>(x, skip, gamma, beta, bias)
        b = com.microsoft.SkipSimplifiedLayerNormalization(x, skip, gamma)
        c = SimplifiedLayerNormalization<axis = -1, epsilon = 0.001>(x, gamma)
        d = LayerNormalization<axis = -1>(x, gamma, beta)
        e, count = com.microsoft.EmbedLayerNormalization(ids, segments, words, places, kinds, gamma, beta, mask)""",
        "a sum b c d e count", {**rows, "words": floats(7, 4), "places": floats(5, 4, shift=0.1), "kinds": floats(2, 4)},
        is_onnx=False, x=x, skip=skip, ids=integers([3, 0, 6], [1, 1, 2], kind=np.int32),
        segments=integers([0, 0, 1], [0, 1, 1], kind=np.int32), mask=integers([1, 1, 0], [1, 1, 1], kind=np.int32))
    write("fused_attention", 13, """
        a = com.microsoft.Attention<num_heads = 2>(x, weights, joint)
        b = com.microsoft.Attention<num_heads = 2, unidirectional = 1>(x, weights, joint, mask)
        c = com.microsoft.Attention<num_heads = 2>(x, weights, joint, lengths)
        d, present = com.microsoft.Attention<num_heads = 2, unidirectional = 1>(x, weights, joint, , past)
        e = com.microsoft.MultiHeadAttention<num_heads = 2>(x, key, value, joint, mask)
        f = com.microsoft.MultiHeadAttention<num_heads = 2, scale = 0.3>(x, key, value, , , added)
        h, k, v = com.microsoft.MultiHeadAttention<num_heads = 2>(x, key, value, , , , past_k, past_k)
        i = com.microsoft.RotaryEmbedding(x, positions, cos, sin)
        j = com.microsoft.RotaryEmbedding<interleaved = 1>(heads, first, cos, sin)""", "a b c d present e f h k v i j",
        {"weights": floats(4, 12), "joint": floats(12), "past": floats(2, 2, 2, 1, 2), "past_k": floats(2, 2, 1, 2),
         "cos": np.cos(floats(6, 1, scale=3)), "sin": np.sin(floats(6, 1, scale=3)), "added": floats(1, 2, 3, 3)},
        x=x, key=skip, value=floats(2, 3, 4, shift=-0.4), mask=integers([1, 1, 0], [0, 1, 1], kind=np.int32),
        lengths=integers(2, 3, kind=np.int32), positions=integers([0, 5, 2], [3, 3, 1]), heads=floats(2, 2, 3, 2),
        first=integers(2))


def group_query_attention():
    """Two of four query heads share a head of keys; a cache of five keys of which the samples have five and three."""
    attention = "com.microsoft.GroupQueryAttention<num_heads = 4, kv_num_heads = 2"
    number = lambda *values: np.array(values, np.int32)
    write("group_query_attention", 17, f"""
        a, ak, av = {attention}>(query, key, value, , , lengths, three)
        b = {attention}, softcap = 0.7, scale = 0.2>(query, key, value, , , lengths, three)
        c = {attention}, do_rotary = 1, local_window_size = 2>(query, key, value, , , lengths, three, cos, sin)
        d = {attention}, do_rotary = 1, rotary_interleaved = 1>(packed, , , , , lengths, three, cos, sin, positions)
        e = {attention}>(query, key, value, , , lengths, three, , , , added, sink)
        f = {attention}, smooth_softmax = 1>(query, key, value, , , lengths, three)
        h, hk, hv = {attention}, do_rotary = 1>(next, new, new, past, past, filled, six, cos, sin)
        i, ik, iv = {attention}, local_window_size = 3>(next, new, new, past, past, filled, six)
        j = {attention}, causal = 0>(query, key, value, , , lengths, three)""", "a ak av b c d e f h hk hv i j ik iv",
        {"three": number(3), "six": number(6), "cos": np.cos(floats(8, 8, scale=3)), "sin": np.sin(floats(8, 8, scale=3)),
         "added": floats(1, 4, 3, 3), "sink": floats(4)},
        query=floats(2, 3, 64), key=floats(2, 3, 32, shift=0.1), value=floats(2, 3, 32, scale=0.5), lengths=number(2, 2),
        packed=floats(2, 3, 128), positions=integers([2, 3, 4], [2, 3, 4]), next=floats(2, 1, 64, shift=0.2),
        new=floats(2, 1, 32, scale=0.7), past=floats(2, 2, 5, 16), filled=number(5, 3))

    def separately_normalized(model, names, inputs):
        """onnxruntime has no normalisation of heads inside of the attention, but one that can stand before it."""
        split = onnx.parser.parse_model("""<ir_version: 7, opset_import: ["" : 17, "com.microsoft" : 1]>
            g (float[2,3,64] query, float[2,3,32] key, int32[2] lengths) => (float[2,3,64] a) {
                q4 = Reshape(query, split4)
                k4 = Reshape(key, split2)
                qn = SimplifiedLayerNormalization<epsilon = 0.01>(q4, qw)
                kn = SimplifiedLayerNormalization<epsilon = 0.02>(k4, kw)
                q = Reshape(qn, joined4)
                k = Reshape(kn, joined2)
                a = com.microsoft.GroupQueryAttention<num_heads = 4, kv_num_heads = 2>(q, k, key, , , lengths, three) }""")
        split.graph.initializer.extend(model.graph.initializer)
        for key, shape in {"split4": [2, 3, 4, 16], "split2": [2, 3, 2, 16], "joined4": [2, 3, 64],
                           "joined2": [2, 3, 32]}.items():
            split.graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), key))
        return onnxruntime_results(split, names, inputs)

    write("group_query_attention_of_normalized_heads", 17, f"""
        a = {attention}, q_norm_epsilon = 0.01, k_norm_epsilon = 0.02>(
            query, key, key, , , lengths, three, , , , , , , , qw, kw)""", "a",
        {"three": number(3), "qw": floats(16, shift=1), "kw": floats(16, shift=-1)}, compute=separately_normalized,
        query=floats(2, 3, 64), key=floats(2, 3, 32, shift=0.1), lengths=number(2, 2))


if __name__ == "__main__":
    shutil.rmtree(ROOT, ignore_errors=True)
    for family in (elementwise, broadcasting, reductions, layout, indexing, layers, attention, rotations, recurrences,
                   control_flow, resampling, transposed_convolutions, contractions, planes, signals, transforms_of_many_lengths,
                   quantization, runtime, group_query_attention, quantized_products, optimizers, features, flexible_attention):
        family()
