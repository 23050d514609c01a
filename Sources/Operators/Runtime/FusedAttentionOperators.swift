import Kernels
import TensorGraph

/// `Attention` and `MultiHeadAttention` of the domain `com.microsoft`, into which ONNX Runtime's optimiser joins whole
/// attention layers.
enum FusedAttentionOperators {
    static let all: [any OperatorPlugin] = [
        StandardOperator("Attention", since: 1, domain: "com.microsoft", expand: attention),
        StandardOperator("MultiHeadAttention", since: 1, domain: "com.microsoft", expand: multiHeadAttention),
        StandardOperator("RotaryEmbedding", since: 1, domain: "com.microsoft", expand: rotaryEmbedding),
    ]

    /// One projection of the input [B, S, D] to queries, keys and values, then attention.
    @Sendable
    private static func attention(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        try refuse(["do_rotary", "past_present_share_buffer"], in: node)
        let (x, weights) = (try node.input(0), try node.input(1))
        let heads = try heads(node)
        var projected = try node.builder.matmul(x, weights)
        if let bias = node.optionalInput(2) { projected = try node.builder.add(projected, bias) }
        let width = node.shape(projected).last!
        let widths = try node.ints("qkv_hidden_sizes") ?? [width / 3, width / 3, width / 3]
        guard node.shape(x).count == 3, widths.count == 3, widths.reduce(0, +) == width, widths[0] == widths[1],
            widths.allSatisfy({ $0 > 0 && $0 % heads == 0 })
        else {
            throw .invalid("weights of \(width) columns do not divide into \(heads) heads of q, k and v: \(widths)")
        }
        var parts: [ValueID] = []
        var start = 0
        for width in widths {
            let part = try node.builder.slice(projected, axis: 2, start..<start + width)
            parts.append(try split(part, heads, in: &node))
            start += width
        }
        if let past = node.optionalInput(4) {
            for (index, part) in parts[1...].enumerated() {
                let shape = node.shape(past)
                guard shape.count == 5, shape[0] == 2 else { throw .invalid("a past of shape \(shape)") }
                let own = try node.builder.view(
                    try node.builder.slice(past, axis: 0, index..<index + 1), Array(shape[1...]))
                parts[index + 1] = try node.builder.concatenate([own, part], axis: 2)
            }
        }
        let output = try attended(parts[0], parts[1], parts[2], mask: 3, bias: 5, in: &node)
        guard node.names(output: 1) else { return [output] }
        let present = try parts[1...].map { part throws(GraphError) in
            try node.builder.view(part, [1] + node.shape(part))
        }
        return [output, try node.builder.concatenate(present, axis: 0)]
    }

    @Sendable
    private static func multiHeadAttention(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        if node.optionalInput(8) != nil || node.optionalInput(9) != nil {
            throw .unsupported("a shared buffer or a beam's cache (inputs 8 and 9) is not implemented")
        }
        let heads = try heads(node)
        var parts = try unpacked(&node, heads)
        if let bias = node.optionalInput(3) {
            var start = 0
            for index in parts.indices {
                let shape = node.shape(parts[index])
                let width = shape[1] * shape[3]
                guard start + width <= node.type(bias).count else { throw .invalid("a bias \(node.type(bias))") }
                let own = try node.builder.slice(bias, axis: 0, start..<start + width)
                start += width
                parts[index] = try node.builder.add(
                    parts[index], try node.builder.view(own, [heads, 1, shape[3]]))
            }
        }
        for (index, input) in [(1, 6), (2, 7)] {
            guard let past = node.optionalInput(input) else { continue }
            parts[index] = try node.builder.concatenate([past, parts[index]], axis: 2)
        }
        if node.names(output: 3) { throw .unsupported("its output of probabilities is not implemented") }
        return [try attended(parts[0], parts[1], parts[2], mask: 4, bias: 5, in: &node), parts[1], parts[2]]
    }

    /// Queries, keys and values as [B, heads, S, D]: each an input [B, S, heads * D], keys and values already split, or
    /// several packed in one input [B, S, heads, parts, D].
    private static func unpacked(_ node: inout Expansion, _ heads: Int) throws(GraphError) -> [ValueID] {
        var parts: [ValueID] = []
        for index in 0..<3 {
            guard let value = node.optionalInput(index) else { break }
            let shape = node.shape(value)
            switch shape.count {
            case 3: parts.append(try split(value, heads, in: &node))
            case 4 where index > 0: parts.append(value)
            case 5:
                for part in 0..<shape[3] {
                    let own = try node.builder.slice(value, axis: 3, part..<part + 1)
                    let rows = try node.builder.view(own, [shape[0], shape[1], shape[2], shape[4]])
                    parts.append(try node.builder.transpose(rows, [0, 2, 1, 3]))
                }
            default: throw .invalid("input \(index) has shape \(shape)")
            }
        }
        guard parts.count == 3, parts.allSatisfy({ node.shape($0)[1] == heads }) else {
            throw .invalid("queries, keys and values of \(heads) heads are not all given")
        }
        return parts
    }

    /// ONNX's operator of that name, with the positions before the tables of cosines and sines.
    @Sendable
    private static func rotaryEmbedding(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        try refuse(["is_packed_batching"], in: node)
        guard try node.float("scale", default: 1) == 1 else { throw .unsupported("attribute scale other than 1") }
        let (x, cosines) = (try node.input(0), try node.input(2))
        var positions = try node.input(1)
        var shape = node.shape(x)
        guard shape.count == 3 || shape.count == 4, node.shape(cosines).count == 2 else {
            throw .invalid("\(node.type(x)) cannot be rotated by \(node.type(cosines))")
        }
        let steps = shape.count == 4 ? shape[2] : shape[1]
        if node.shape(positions).count == 1 {
            // One number is the position of the first entry of every sequence.
            let offsets = node.constant(Constant((0..<Int64(steps)).map(\.self), shape: [1, steps]))
            let first = try node.builder.view(positions, [1, 1])
            positions = try node.builder.broadcast(
                try node.builder.add(first, offsets), to: [shape[0], steps])
        }
        var input = x
        if shape.count == 3 {
            let named = try node.int("num_heads", default: 0)
            let width = named > 0 ? shape[2] / named : 2 * node.shape(cosines)[1]
            guard width > 0, shape[2] % width == 0 else { throw .invalid("\(named) heads of \(node.type(x))") }
            input = try split(x, shape[2] / width, in: &node)
        }
        shape = node.shape(input)
        var inner = Expansion(
            node: node.node, inputs: [input, cosines, try node.input(3), positions], builder: node.builder,
            referenceOutputShapes: [])
        var result = try RotaryEmbedding.rotate(&inner)[0]
        node.builder = inner.builder
        if node.shape(x).count == 3 { result = try join(result, in: &node) }
        return [result]
    }

    // MARK: Pieces

    private static func heads(_ node: Expansion) throws(GraphError) -> Int {
        guard let heads = try node.int("num_heads"), heads > 0 else { throw .invalid("attribute num_heads is missing") }
        return heads
    }

    private static func refuse(_ flags: [String], in node: Expansion) throws(GraphError) {
        for name in flags where try node.flag(name) { throw .unsupported("attribute \(name) is not implemented") }
    }

    private static func split(_ x: ValueID, _ heads: Int, in node: inout Expansion) throws(GraphError) -> ValueID {
        let shape = node.shape(x)
        guard shape.count == 3, shape[2] % heads == 0 else { throw .invalid("\(node.type(x)) in \(heads) heads") }
        let rows = try node.builder.view(x, [shape[0], shape[1], heads, shape[2] / heads])
        return try node.builder.transpose(rows, [0, 2, 1, 3])
    }

    private static func join(_ x: ValueID, in node: inout Expansion) throws(GraphError) -> ValueID {
        let shape = node.shape(x)
        let rows = try node.builder.transpose(x, [0, 2, 1, 3])
        return try node.builder.view(rows, [shape[0], shape[2], shape[1] * shape[3]])
    }

    /// softmax(scale q k^T + bias + mask) v, heads joined: [B, S, heads * D].
    private static func attended(
        _ query: ValueID, _ key: ValueID, _ value: ValueID, mask: Int, bias: Int, in node: inout Expansion
    ) throws(GraphError) -> ValueID {
        let (rows, columns) = (node.shape(query)[2], node.shape(key)[2])
        let given = try node.float("scale", default: 0)
        let scale = given == 0 ? 1 / Float(max(1, node.shape(query)[3])).squareRoot() : given
        var scores = try node.builder.matmul(
            try node.builder.unary(.affine(scale: scale, offset: 0), query), key, transposingRight: true)
        if let bias = node.optionalInput(bias) { scores = try node.builder.add(scores, bias) }
        if let mask = node.optionalInput(mask) {
            let isSeen = try seen(mask, samples: node.shape(query)[0], rows: rows, columns: columns, in: &node)
            let hidden = node.scalar(try node.float("mask_filter_value", default: -10000))
            scores = try node.builder.add(scores, try node.builder.select(isSeen, node.scalar(0), hidden))
        }
        if try node.flag("unidirectional") {
            try CheckedSize.checkConstant([rows, columns])
            // The queries are the last positions of the keys.
            let isSeen = (0..<rows * columns).map { $0 % columns <= $0 / columns + columns - rows }
            scores = try node.builder.select(
                node.constant(Constant(isSeen, shape: [rows, columns])), scores, node.scalar(-.infinity))
        }
        let weights = try node.emit(Softmax(.softmax, axis: 3), scores)
        return try join(try node.builder.matmul(weights, value), in: &node)
    }

    /// A mask of ones and zeros per key, per query and key, or the number of keys of each sample, as truth values that
    /// broadcast to the scores.
    private static func seen(_ mask: ValueID, samples: Int, rows: Int, columns: Int, in node: inout Expansion)
        throws(GraphError) -> ValueID
    {
        switch node.shape(mask) {
        case [samples]:
            let places = node.constant(Constant((0..<Int64(columns)).map(\.self), shape: [1, 1, 1, columns]))
            return try node.builder.compare(.less, places, try node.builder.view(mask, [samples, 1, 1, 1]))
        case [samples, columns], [samples, rows, columns]:
            let shape = node.shape(mask)
            let aligned = try node.builder.view(mask, [samples, 1] + (shape.count == 2 ? [1] : []) + shape[1...])
            return try node.emit(Not(), try node.builder.compare(.equal, aligned, node.builder.integer(0)))
        case let shape: throw .unsupported("a mask of shape \(shape) is not implemented")
        }
    }
}
