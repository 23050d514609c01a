"""Writes NodeTests/ beside this file: models of a few operators each, small inputs, and what onnxruntime makes of them;
attention and rotations, of which onnxruntime has only a part, are left to the reference implementation of ONNX.

Run in any folder; needs the Python packages onnx, numpy and onnxruntime. An operator is written as a line of ONNX's own
text format; `outputs` are what the model returns.
"""
import pathlib
import shutil

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

ROOT = pathlib.Path(__file__).parent / "NodeTests"
TYPES = {"float32": "float", "float64": "double", "float16": "float16", "int64": "int64", "int32": "int32", "bool": "bool"}


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


def write(name, opset, body, outputs, initializers=None, compute=onnxruntime_results, **inputs):
    ports = ", ".join(port(key, value) for key, value in inputs.items())
    names = outputs.split()
    header = f'<ir_version: 7, opset_import: ["" : {opset}]> g ({ports}) => ({", ".join(names)})'
    model = onnx.parser.parse_model(f"{header} {{ {body} }}")
    for key, value in (initializers or {}).items():
        model.graph.initializer.append(numpy_helper.from_array(value, key))
    inferred = onnx.shape_inference.infer_shapes(model)
    results = compute(inferred, names, inputs)
    for output, value in zip(model.graph.output, results):
        kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        output.CopyFrom(onnx.helper.make_tensor_value_info(output.name, kind, value.shape))
    onnx.checker.check_model(model)
    folder = ROOT / f"test_{name}"
    data = folder / "test_data_set_0"
    data.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
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


if __name__ == "__main__":
    shutil.rmtree(ROOT, ignore_errors=True)
    for family in (elementwise, broadcasting, reductions, layout, indexing, layers, attention, rotations, recurrences, control_flow):
        family()
