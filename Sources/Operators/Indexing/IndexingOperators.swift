import Kernels
import ONNXFormat
import TensorGraph

/// Operators that pick or change elements by index.
public enum IndexingOperators {
    public static let all: [any OperatorPlugin] =
        [1, 11, 13].map { StandardOperator("Gather", since: $0, expand: gather) }
        + [11, 13].map { StandardOperator("GatherElements", since: $0, expand: gatherElements) }
        // The coordinate along the batch is a position; the batch rule checks that it is the sample's own.
        + [11, 12, 13].map { StandardOperator("GatherND", since: $0, structuralInputs: [1], expand: gatherND) }
        + [9, 11].map { StandardOperator("Scatter", since: $0, expand: scatterElements) }
        + [11, 13, 16, 18].map { StandardOperator("ScatterElements", since: $0, expand: scatterElements) }
        + [11, 13, 16, 18].map { StandardOperator("ScatterND", since: $0, structuralInputs: [1], expand: scatterND) }
        + [StandardOperator("Trilu", since: 14, structuralInputs: [1], expand: trilu)]
        + [9, 11, 28].map { StandardOperator("OneHot", since: $0, structuralInputs: [1], expand: oneHot) }
        + [1, 10, 11, 24].map { StandardOperator("TopK", since: $0, structuralInputs: [1], expand: topK) }

    /// The axis attribute of an operator on a tensor that has axes.
    private static func axis(_ node: Expansion, of value: ValueID, default axis: Int) throws(GraphError) -> Int {
        let rank = node.shape(value).count
        guard rank > 0 else { throw .invalid("a scalar cannot be indexed") }
        return try normalizedAxis(try node.int("axis", default: axis), rank: rank)
    }

    private static func gather(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let (data, indices) = (try node.input(0), try node.input(1))
        let axis = try axis(node, of: data, default: 0)
        if let constant = node.builder.constant(indices) {
            try checkConstantIndices(constant.intValues, size: node.shape(data)[axis])
        }
        if axis > 0, isTrainedTable(data, indices, node) { return [try lookup(data, indices, axis: axis, in: &node)] }
        return [try node.emit(Gathering(axis: axis, paddingRow: node.node.paddingRow), data, indices)]
    }

    /// Whether samples look up entries of a trainable tensor that is the same for all of them.
    private static func isTrainedTable(_ data: ValueID, _ indices: ValueID, _ node: Expansion) -> Bool {
        let graph = node.builder.graph
        return graph[data].dependsOnParameter && graph[data].batch == .free && graph[indices].batch != .free
    }

    /// Gathers along an axis by way of the first one, where a table has a rule for each sample's gradient.
    private static func lookup(_ data: ValueID, _ indices: ValueID, axis: Int, in node: inout Expansion)
        throws(GraphError) -> ValueID
    {
        let (rank, indexRank) = (node.shape(data).count, node.shape(indices).count)
        let others = (0..<rank).filter { $0 != axis }
        let rows = try node.emit(Gathering(axis: 0), try node.builder.transpose(data, [axis] + others), indices)
        // [I..., outer..., inner...] -> [outer..., I..., inner...]
        let order =
            Array(indexRank..<indexRank + axis) + Array(0..<indexRank) + Array(indexRank + axis..<indexRank + rank - 1)
        return try node.builder.transpose(rows, order)
    }

    private static func gatherElements(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let (data, indices) = (try node.input(0), try node.input(1))
        let axis = try axis(node, of: data, default: 0)
        if let constant = node.builder.constant(indices) {
            try checkConstantIndices(constant.intValues, size: node.shape(data)[axis])
        }
        return [try node.emit(ElementGathering(axis: axis), data, indices)]
    }

    private static func gatherND(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let (data, indices) = (try node.input(0), try node.input(1))
        let shared = try node.int("batch_dims", default: 0)
        guard 0...node.shape(data).count ~= shared else { throw .invalid("batch_dims \(shared) of \(node.type(data))") }
        try checkTuples(node, data, indices, sharedAxes: shared)
        // One coordinate is an ordinary lookup, which has a rule for trainable tables.
        let shape = node.shape(indices)
        if shared == 0, shape.last == 1 {
            let rows = try node.builder.view(indices, shape.dropLast())
            return [try node.emit(Gathering(axis: 0), data, rows)]
        }
        if shared == 0, shape.last! > 1, isTrainedTable(data, indices, node) {
            return [try rows(data, indices, in: &node)]
        }
        return [try node.emit(TupleGathering(sharedAxes: shared), data, indices)]
    }

    /// The slices that tuples name, as rows of a table: a table has a rule for each sample's gradient. A tuple outside
    /// of the data becomes a row that does not exist.
    private static func rows(_ data: ValueID, _ indices: ValueID, in node: inout Expansion) throws(GraphError)
        -> ValueID
    {
        let (shape, tuples) = (node.shape(data), node.shape(indices))
        let last = tuples.count - 1
        let count = shape[..<tuples[last]].elementCount
        var row = node.builder.integer(0)
        var isInside: ValueID?
        for (axis, size) in shape[..<tuples[last]].enumerated() {
            let coordinate = try node.builder.view(
                try node.builder.slice(indices, axis: last, axis..<axis + 1), Array(tuples[..<last]))
            let entry = try node.builder.binary(.mod, coordinate, node.builder.integer(Int64(max(size, 1))))
            row = try node.builder.add(try node.builder.multiply(row, node.builder.integer(Int64(size))), entry)
            let own = try node.builder.logical(
                .and, try node.builder.compare(.greaterOrEqual, coordinate, node.builder.integer(Int64(-size))),
                try node.builder.compare(.less, coordinate, node.builder.integer(Int64(size))))
            isInside =
                try isInside.map { other throws(GraphError) in try node.builder.logical(.and, other, own) } ?? own
        }
        let places = try node.builder.select(isInside!, row, node.builder.integer(Int64(count)))
        let table = try node.builder.view(data, [count] + shape[tuples[last]...])
        return try node.emit(Gathering(axis: 0), table, places)
    }

    private static func checkTuples(_ node: Expansion, _ data: ValueID, _ indices: ValueID, sharedAxes: Int)
        throws(GraphError)
    {
        try TupleWalk.check(node.type(data), node.type(indices), sharedAxes: sharedAxes)
        guard let values = node.builder.constant(indices)?.intValues else { return }
        let width = node.shape(indices).last!
        for k in 0..<width {
            let coordinates = stride(from: k, to: values.count, by: width).map { values[$0] }
            try checkConstantIndices(coordinates, size: node.shape(data)[sharedAxes + k])
        }
    }

    private static func scatterElements(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let (data, indices, updates) = (try node.input(0), try node.input(1), try node.input(2))
        let axis = try axis(node, of: data, default: 0)
        if let constant = node.builder.constant(indices) {
            try checkConstantIndices(constant.intValues, size: node.shape(data)[axis])
        }
        return [try node.emit(ElementScattering(axis: axis, try reduction(node)), data, indices, updates)]
    }

    private static func scatterND(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let (data, indices, updates) = (try node.input(0), try node.input(1), try node.input(2))
        try checkTuples(node, data, indices, sharedAxes: 0)
        let scattering = TupleScattering(try reduction(node))
        let target = try node.builder.oneCopyPerSample(data, before: scattering, indices, updates)
        return [try node.emit(scattering, target, indices, updates)]
    }

    private static func reduction(_ node: Expansion) throws(GraphError) -> ScatterReduction {
        let name = try node.string("reduction") ?? "none"
        guard let reduction = ScatterReduction.allCases.first(where: { "\($0)" == name }) else {
            throw .invalid("reduction '\(name)' does not exist; use none, add, mul, max or min")
        }
        return reduction
    }

    private static func trilu(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let diagonal = try node.constantInts(1, "diagonal")?.first ?? 0
        let triangle = Triangle(isUpper: try node.flag("upper", default: true), diagonal: diagonal)
        return [try node.emit(triangle, try node.input(0))]
    }

    private static func oneHot(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let (indices, values) = (try node.input(0), try node.input(2))
        guard let depth = try node.constantInts(1, "depth"), depth.count == 1, depth[0] > 0 else {
            throw .invalid("its depth must be a single positive number")
        }
        let rank = node.shape(indices).count + 1
        let axis = try normalizedAxis(try node.int("axis", default: -1), rank: rank)
        var shape = node.shape(indices)
        shape.insert(depth[0], at: axis)
        try CheckedSize.check(shape)
        // Indices of another type are truncated to integers (ONNX OneHot).
        let integers = try node.builder.convert(indices, to: .int64)
        node.outputElementTypes[0] = try node.elementType(ofInput: 2)
        return [try node.emit(OneHotEncoding(axis: axis, depth: depth[0]), integers, values)]
    }

    private static func topK(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        var count = try node.int("k")
        if count == nil { count = try node.constantInts(1, "k")?.first }
        guard let count else { throw .invalid("its k is missing") }
        let selection = TopSelection(
            axis: try axis(node, of: x, default: -1), count: count,
            takesLargest: try node.flag("largest", default: true))
        node.outputElementTypes[1] = .int64
        return try node.builder.emitAll(selection, [x])
    }
}
