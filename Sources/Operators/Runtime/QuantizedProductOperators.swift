import Kernels
import ONNXFormat
import TensorGraph

/// Products with quantized weights that ONNX Runtime's tools write (domain `com.microsoft`). Weights are unpacked when the
/// model is read; what is computed from them trains as usual, they themselves do not.
enum QuantizedProductOperators {
    static let all: [any OperatorPlugin] = [
        StandardOperator("MatMulNBits", since: 1, domain: "com.microsoft", expand: blockwise),
        StandardOperator("MatMulIntegerToFloat", since: 1, domain: "com.microsoft") { node throws(GraphError) in
            let scale = try node.builder.multiply(try operand(2, &node)!, try operand(3, &node)!)
            return [
                try product(
                    try node.input(0), try operand(4, &node), zeroPoint: 5, scale: scale, bias: 6, in: &node)
            ]
        },
        StandardOperator("DynamicQuantizeMatMul", since: 1, domain: "com.microsoft") { node throws(GraphError) in
            let parts = try QuantizationOperators.dynamicallyQuantized(try node.input(0), in: &node)
            let scale = try node.builder.multiply(parts.scale, try operand(2, &node)!)
            return [
                try product(parts.levels, parts.zeroPoint, zeroPoint: 3, scale: scale, bias: 4, in: &node)
            ]
        },
    ]

    // MARK: Integers of eight bits

    /// One number for all, or one for each column, which broadcasts to rows as it is.
    private static func operand(_ index: Int, _ node: inout Expansion) throws(GraphError) -> ValueID? {
        guard let value = node.optionalInput(index) else { return nil }
        return node.type(value).count == 1 ? try node.builder.view(value, []) : value
    }

    /// (a - its zero point) (b - its zero point) * scale + bias, b being input 1.
    private static func product(
        _ a: ValueID, _ ownZero: ValueID?, zeroPoint: Int, scale: ValueID, bias: Int, in node: inout Expansion
    ) throws(GraphError) -> ValueID {
        var (left, right) = (a, try node.input(1))
        if let ownZero { left = try node.builder.subtract(left, ownZero) }
        if let zero = try operand(zeroPoint, &node) { right = try node.builder.subtract(right, zero) }
        let sums = try node.builder.convert(try node.emit(IntegerMatrixProduct(), left, right), to: .float32)
        let result = try node.builder.multiply(sums, scale)
        node.outputElementTypes[0] = .float32
        guard let bias = node.optionalInput(bias) else { return result }
        return try node.builder.add(result, bias)
    }

    // MARK: Blocks of a few bits

    /// a W' with W [N, K] stored in blocks along K: integers of `bits` bits packed into bytes, low bits first, each block
    /// with a scale and a zero point of its own.
    @Sendable
    private static func blockwise(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        guard let width = try node.int("K"), let count = try node.int("N"), let size = try node.int("block_size"),
            width > 0, count > 0, size > 0
        else { throw .invalid("attributes K, N and block_size must be positive") }
        let bits = try node.int("bits", default: 4)
        guard [2, 4, 8].contains(bits) else { throw .unsupported("weights of \(bits) bits are not implemented") }
        guard node.optionalInput(4) == nil, try node.int("weight_prepacked", default: 0) == 0 else {
            throw .unsupported("weights in another order (g_idx, weight_prepacked) are not implemented")
        }
        let blocks = (width + size - 1) / size
        let packed = try node.input(1)
        guard let bytes = node.builder.constant(packed)?.int64Values else {
            throw .unsupported("its packed weights (input 1) are computed from data; they must be constant")
        }
        guard bytes.count == count * blocks * size * bits / 8, size * bits % 8 == 0 else {
            throw .invalid(
                "\(node.type(packed)) does not hold \(count) x \(blocks) blocks of \(size) times \(bits) bits")
        }
        try CheckedSize.checkConstant([count, blocks * size])
        let levels = unpacked(bytes, bits).map(Float.init)
        var weights = node.constant(Constant(levels, shape: [count, blocks, size]))
        weights = try node.builder.subtract(weights, try zeroPoints(count, blocks, bits, in: &node))
        let scales = try node.input(2)
        guard node.type(scales).count == count * blocks else { throw .invalid("its scales are \(node.type(scales))") }
        weights = try node.builder.multiply(weights, try node.builder.view(scales, [count, blocks, 1]))
        let matrix = try node.builder.slice(
            try node.builder.view(weights, [count, blocks * size]), axis: 1, 0..<width)
        let product = try node.builder.matmul(try node.input(0), matrix, transposingRight: true)
        guard let bias = node.optionalInput(5) else { return [product] }
        return [try node.builder.add(product, bias)]
    }

    /// [N, blocks, 1]: packed like the weights, a float for each, or the middle of the range.
    private static func zeroPoints(_ count: Int, _ blocks: Int, _ bits: Int, in node: inout Expansion)
        throws(GraphError) -> ValueID
    {
        guard let given = node.optionalInput(3) else { return node.scalar(Float(1 << (bits - 1))) }
        guard try node.elementType(ofInput: 3).storage == .int64 else {
            guard node.type(given).count == count * blocks else {
                throw .invalid("its zero points are \(node.type(given))")
            }
            return try node.builder.view(given, [count, blocks, 1])
        }
        guard let bytes = node.builder.constant(given)?.int64Values else {
            throw .unsupported("its zero points (input 3) are computed from data; they must be constant")
        }
        // Every row of packed zero points fills whole bytes.
        let perRow = (blocks * bits + 7) / 8
        guard bytes.count == count * perRow else { throw .invalid("its zero points are \(node.type(given))") }
        let levels = (0..<count).flatMap { row in
            unpacked(Array(bytes[row * perRow..<(row + 1) * perRow]), bits).prefix(blocks).map(Float.init)
        }
        return node.constant(Constant(levels, shape: [count, blocks, 1]))
    }

    private static func unpacked(_ bytes: [Int64], _ bits: Int) -> [Int64] {
        let mask: Int64 = 1 << Int64(bits) - 1
        return bytes.flatMap { byte in stride(from: 0, to: 8, by: bits).map { byte >> Int64($0) & mask } }
    }
}
