import ONNXFormat
import TensorGraph

/// ONNX `NonMaxSuppression`: the best boxes of each class, none of which overlaps a better one too much.
enum BoxSelection {
    static let all: [any OperatorPlugin] = [10, 11].map {
        StandardOperator("NonMaxSuppression", since: $0, expand: expand)
    }

    @Sendable
    private static func expand(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let boxes = try SelectionOperators.known(node, input: 0, "boxes")
        let scores = try SelectionOperators.known(node, input: 1, "scores")
        let (images, count) = (boxes.type.shape.first ?? 0, scores.type.shape.last ?? 0)
        guard boxes.type.shape == [images, count, 4], scores.type.rank == 3, scores.type.shape[0] == images else {
            throw .invalid("boxes \(boxes.type) and scores \(scores.type) do not fit")
        }
        let classes = scores.type.shape[1]
        let limit = try node.constantInts(2, "max_output_boxes_per_class")?.first ?? 0
        func threshold(_ index: Int) throws(GraphError) -> Float? {
            guard node.optionalInput(index) != nil else { return nil }
            return try SelectionOperators.known(node, input: index, "threshold").floatValues.first
        }
        let overlap = try threshold(3) ?? 0
        let least = try threshold(4)
        let isCentred = try node.flag("center_point_box")
        let (corners, values) = (boxes.floatValues, scores.floatValues)
        var selected: [Int64] = []
        for image in 0..<images {
            let own = (0..<count).map { box in
                Box(Array(corners[(image * count + box) * 4..<(image * count + box + 1) * 4]), isCentred: isCentred)
            }
            for category in 0..<classes {
                let start = (image * classes + category) * count
                let order = (0..<count).filter { least == nil || values[start + $0] > least! }
                    .sorted { (values[start + $1], $0) < (values[start + $0], $1) }
                var kept: [Int] = []
                for box in order where kept.count < limit {
                    if kept.allSatisfy({ own[$0].overlap(own[box]) <= overlap }) { kept.append(box) }
                }
                selected += kept.flatMap { [Int64(image), Int64(category), Int64($0)] }
            }
        }
        node.outputElementTypes[0] = .int64
        return [node.constant(Constant(selected, shape: [selected.count / 3, 3]))]
    }
}

private struct Box {
    let x: ClosedRange<Float>
    let y: ClosedRange<Float>

    /// - Parameter values: y1, x1, y2, x2 of any two opposite corners, or centre x and y, width and height.
    init(_ values: [Float], isCentred: Bool) {
        func range(_ a: Float, _ b: Float) -> ClosedRange<Float> { min(a, b)...max(a, b) }
        if isCentred {
            x = range(values[0] - values[2] / 2, values[0] + values[2] / 2)
            y = range(values[1] - values[3] / 2, values[1] + values[3] / 2)
        } else {
            x = range(values[1], values[3])
            y = range(values[0], values[2])
        }
    }

    private static func length(_ range: ClosedRange<Float>) -> Float { range.upperBound - range.lowerBound }

    private var area: Float { Self.length(x) * Self.length(y) }

    /// Intersection over union.
    func overlap(_ other: Box) -> Float {
        guard x.overlaps(other.x), y.overlaps(other.y) else { return 0 }
        let shared = Self.length(x.clamped(to: other.x)) * Self.length(y.clamped(to: other.y))
        let union = area + other.area - shared
        return union > 0 ? shared / union : 0
    }
}
