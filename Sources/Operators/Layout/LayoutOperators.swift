import Kernels
import TensorGraph

/// Operators that move elements: reorder axes, join, cut and pad.
public enum LayoutOperators {
    public static let all: [any OperatorPlugin] =
        [1, 13, 21, 23, 24, 25].map { StandardOperator("Transpose", since: $0, expand: transpose) }
        + [4, 11, 13].map { StandardOperator("Concat", since: $0, expand: concat) }
        + [2, 11, 13, 18].map { StandardOperator("Split", since: $0, structuralInputs: [1], expand: split) }
        + [1, 10, 11, 13].map { StandardOperator("Slice", since: $0, structuralInputs: [1, 2, 3, 4], expand: slice) }
        + [2, 11, 13, 18, 19, 21, 23, 24, 25].map {
            StandardOperator("Pad", since: $0, structuralInputs: [1, 3], expand: pad)
        }
        + [1, 11, 13, 28].map { StandardOperator("DepthToSpace", since: $0, expand: depthToSpace) }
        + [1, 13, 28].map { StandardOperator("SpaceToDepth", since: $0, expand: spaceToDepth) }

    private static func transpose(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let reversed = Array(node.shape(x).indices.reversed())
        var permutation: [Int] = []
        for axis in try node.ints("perm") ?? reversed {
            permutation.append(try normalizedAxis(axis, rank: reversed.count))
        }
        guard permutation.sorted() == reversed.reversed() else {
            throw .invalid("\(permutation) is not a permutation of the axes of \(node.type(x))")
        }
        return [try node.builder.transpose(x, permutation)]
    }

    private static func concat(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        var values: [ValueID] = []
        for index in node.inputs.indices { values.append(try node.input(index)) }
        guard let axis = try node.int("axis") else { throw .invalid("attribute 'axis' is missing") }
        let rank = node.shape(try node.input(0)).count
        guard rank > 0 else { throw .invalid("scalars cannot be joined") }
        return [try node.builder.concatenate(values, axis: try normalizedAxis(axis, rank: rank))]
    }

    private static func split(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let axis = try existingAxis(try node.int("axis", default: 0), of: node.type(x))
        let total = node.shape(x)[axis]
        let sizes: [Int]
        if let given = try node.intsFromAttributeOrInput("split", input: 1) {
            var sum = 0
            for size in given {
                guard 0...total - sum ~= size else {
                    throw .invalid("split \(given) does not fit axis \(axis) of \(node.type(x))")
                }
                sum += size
            }
            guard sum == total else { throw .invalid("split \(given) does not fill axis \(axis) of \(node.type(x))") }
            sizes = given
        } else {
            let count = try node.int("num_outputs", default: node.node.outputs.count)
            guard count > 0, count <= max(total, node.node.outputs.count) else {
                throw .invalid("cannot split axis \(axis) of \(node.type(x)) into \(count) parts")
            }
            guard node.version >= 18 || total % count == 0 else {
                throw .invalid("axis \(axis) of \(node.type(x)) does not divide into \(count) equal parts")
            }
            let size = (total + count - 1) / count
            sizes = (0..<count).map { max(0, min(size, total - $0 * size)) }
        }
        guard sizes.count >= node.node.outputs.count else {
            throw .invalid("it names \(node.node.outputs.count) outputs but makes \(sizes.count) parts")
        }
        var start = 0
        var parts: [ValueID] = []
        for size in sizes {
            parts.append(try node.builder.slice(x, axis: axis, start..<start + size))
            start += size
        }
        return parts
    }

    /// A normalised axis of a tensor that has axes.
    private static func existingAxis(_ axis: Int, of type: TensorType) throws(GraphError) -> Int {
        guard type.rank > 0 else { throw .invalid("a scalar has no axis \(axis)") }
        return try normalizedAxis(axis, rank: type.rank)
    }

    private static func slice(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let shape = node.shape(x)
        guard let starts = try node.intsFromAttributeOrInput("starts", input: 1),
            let ends = try node.intsFromAttributeOrInput("ends", input: 2)
        else { throw .invalid("its starts or ends are missing") }
        let axes = try node.intsFromAttributeOrInput("axes", input: 3) ?? Array(starts.indices)
        let steps = try node.constantInts(4, "steps") ?? starts.map { _ in 1 }
        guard ends.count == starts.count, axes.count == starts.count, steps.count == starts.count else {
            throw .invalid("its starts, ends, axes and steps are not equally many")
        }
        _ = try normalizedAxes(axes, rank: shape.count)
        var slicing = (starts: shape.map { _ in 0 }, steps: shape.map { _ in 1 }, counts: shape)
        for (index, given) in axes.enumerated() {
            let axis = try existingAxis(given, of: node.type(x))
            guard steps[index] != 0 else { throw .invalid("a slice by step 0") }
            let range = sliceRange(starts[index], ends[index], steps[index], size: shape[axis])
            slicing.starts[axis] = range.start
            slicing.steps[axis] = range.step
            slicing.counts[axis] = range.count
        }
        if slicing.counts == shape, slicing.steps.allSatisfy({ $0 == 1 }) { return [x] }
        return [try node.emit(Slicing(starts: slicing.starts, steps: slicing.steps, counts: slicing.counts), x)]
    }

    /// Negative bounds count from the end; bounds are clamped to the axis (ONNX Slice).
    private static func sliceRange(_ start: Int, _ end: Int, _ step: Int, size: Int) -> (
        start: Int, step: Int, count: Int
    ) {
        let last = step > 0 ? size : size - 1
        let first = step > 0 ? 0 : -1
        let from = min(max(start < 0 ? start + size : start, 0), last)
        let to = min(max(end < 0 ? end + size : end, first), last)
        // Beyond the axis one step is like another.
        let step = min(max(step, -size - 1), size + 1)
        let count = step > 0 ? (to - from + step - 1) / step : (from - to - step - 1) / -step
        // One entry or none needs no step.
        return count > 1 ? (from, step, count) : (count == 1 ? from : 0, 1, max(count, 0))
    }

    private static func pad(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let type = node.type(x)
        guard let pads = try node.intsFromAttributeOrInput("pads", input: 1) else {
            throw .invalid("its pads are missing")
        }
        var axes = Array(type.shape.indices)
        if let given = try node.constantInts(3, "axes") {
            _ = try normalizedAxes(given, rank: type.rank)
            axes = []
            for axis in given { axes.append(try normalizedAxis(axis, rank: type.rank)) }
        }
        guard pads.count == 2 * axes.count else {
            throw .invalid("pads \(pads) are not two per padded axis of \(type)")
        }
        var before = type.shape.map { _ in 0 }
        var after = before
        for (index, axis) in axes.enumerated() {
            (before[axis], after[axis]) = (pads[index], pads[axes.count + index])
        }
        var padded: [Int] = []
        for axis in type.shape.indices {
            let sum = type.shape[axis].addingReportingOverflow(before[axis])
            let size = sum.partialValue.addingReportingOverflow(after[axis])
            guard !sum.overflow, !size.overflow else { throw .invalid("pads \(pads) are too large") }
            padded.append(size.partialValue)
        }
        try CheckedSize.check(padded)
        if before.allSatisfy({ $0 == 0 }), after.allSatisfy({ $0 == 0 }) { return [x] }
        let mode: PadMode
        switch try node.string("mode") ?? "constant" {
        case "constant":
            let value = try padValue(&node, type.elementType)
            return [try node.emit(Padding(mode: nil, before: before, after: after), x, value)]
        case "reflect": mode = .reflect
        case "edge": mode = .edge
        case "wrap": mode = .wrap
        case let other: throw .invalid("mode '\(other)' does not exist; use constant, reflect, edge or wrap")
        }
        return [try node.emit(Padding(mode: mode, before: before, after: after), x)]
    }

    private static func padValue(_ node: inout Expansion, _ elementType: ElementType) throws(GraphError) -> ValueID {
        if let value = node.optionalInput(2) {
            guard node.type(value).count == 1 else { throw .invalid("its pad value must be a single number") }
            return try node.builder.view(value, [])
        }
        let value = try node.float("value", default: 0)
        if elementType == .float32 { return node.scalar(value) }
        guard value == 0 else { throw .unsupported("pads a tensor of \(elementType) with \(value)") }
        return node.constant(Constant(TensorType(elementType, [])) { _ in })
    }

    /// [N, C, H, W] -> [N, C / b^2, H b, W b].
    private static func depthToSpace(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let (shape, b) = try blocks(&node, x)
        guard shape[1] % (b * b) == 0 else {
            throw .invalid("\(shape[1]) channels do not divide into blocks of \(b) x \(b)")
        }
        let depth = shape[1] / (b * b)
        let split: [Int]
        let order: [Int]
        switch try node.string("mode") ?? "DCR" {
        case "DCR": (split, order) = ([shape[0], b, b, depth, shape[2], shape[3]], [0, 3, 4, 1, 5, 2])
        case "CRD": (split, order) = ([shape[0], depth, b, b, shape[2], shape[3]], [0, 1, 4, 2, 5, 3])
        case let other: throw .invalid("mode '\(other)' does not exist; use DCR or CRD")
        }
        let moved = try node.builder.transpose(try node.builder.view(x, split), order)
        return [try node.builder.view(moved, [shape[0], depth, shape[2] * b, shape[3] * b])]
    }

    /// [N, C, H, W] -> [N, C b^2, H / b, W / b].
    private static func spaceToDepth(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let (shape, b) = try blocks(&node, x)
        guard shape[2] % b == 0, shape[3] % b == 0 else {
            throw .invalid("\(node.type(x)) does not divide into blocks of \(b)")
        }
        let split = [shape[0], shape[1], shape[2] / b, b, shape[3] / b, b]
        let order: [Int]
        switch try node.string("mode") ?? "DCR" {
        case "DCR": order = [0, 3, 5, 1, 2, 4]
        case "CRD": order = [0, 1, 3, 5, 2, 4]
        case let other: throw .invalid("mode '\(other)' does not exist; use DCR or CRD")
        }
        let moved = try node.builder.transpose(try node.builder.view(x, split), order)
        return [try node.builder.view(moved, [shape[0], shape[1] * b * b, shape[2] / b, shape[3] / b])]
    }

    private static func blocks(_ node: inout Expansion, _ x: ValueID) throws(GraphError) -> (shape: [Int], size: Int) {
        guard let size = try node.int("blocksize"), 1...(1 << 15) ~= size else {
            throw .invalid("attribute 'blocksize' must be a positive number")
        }
        guard node.shape(x).count == 4 else { throw .invalid("\(node.type(x)) is not [N, C, H, W]") }
        return (node.shape(x), size)
    }
}
