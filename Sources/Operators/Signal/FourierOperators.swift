import Foundation
import TensorGraph

/// ONNX `DFT` and `STFT`: products with a matrix of sines and cosines.
enum FourierOperators {
    static let all: [any OperatorPlugin] = [
        StandardOperator("DFT", since: 17, structuralInputs: [1]) { node throws(GraphError) in
            try transform(&node, axis: try node.int("axis", default: 1))
        },
        StandardOperator("DFT", since: 20, structuralInputs: [1, 2]) { node throws(GraphError) in
            try transform(&node, axis: try node.constantInts(2, "axis")?.first ?? -2)
        },
        StandardOperator("STFT", since: 17, structuralInputs: [1, 3], expand: shortTimeTransform),
    ]

    /// x [..., n, ..., 1 or 2]: real numbers, or pairs of real and imaginary parts.
    private static func transform(_ node: inout Expansion, axis: Int) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let shape = node.shape(x)
        let axis = try normalizedAxis(axis, rank: shape.count)
        let (isInverse, isOneSided) = (try node.flag("inverse"), try node.flag("onesided"))
        guard axis < shape.count - 1, let parts = shape.last, parts == 1 || parts == 2 else {
            throw .invalid("\(node.type(x)) does not end in real, or in real and imaginary parts")
        }
        let entries = isInverse && isOneSided ? 2 * (shape[axis] - 1) : shape[axis]
        let length = try node.constantInts(1, "dft_length")?.first ?? entries
        let matrix = try FourierMatrix(
            entries: shape[axis], parts: parts, length: length, isInverse: isInverse, isOneSided: isOneSided)
        return [try transformed(x, axis: axis, matrix, in: &node)]
    }

    private static func transformed(_ x: ValueID, axis: Int, _ matrix: FourierMatrix, in node: inout Expansion)
        throws(GraphError) -> ValueID
    {
        let shape = node.shape(x)
        let last = shape.count - 1
        let others = (0..<last).filter { $0 != axis }
        let order = others + [axis, last]
        let rows = try node.builder.view(
            try node.builder.transpose(x, order), others.map { shape[$0] } + [shape[axis] * shape[last]])
        // A vector alone is a matrix of one row.
        let lead = others.isEmpty ? [1] : others.map { shape[$0] }
        let product = try node.builder.matmul(
            try node.builder.view(rows, lead + [shape[axis] * shape[last]]), node.constant(try matrix.constant()))
        let result = try node.builder.view(
            product, others.map { shape[$0] } + [matrix.outputs, matrix.outputParts])
        return try node.builder.transpose(result, order.indices.map { order.firstIndex(of: $0)! })
    }

    /// Frames of the signal [batch, length, 1 or 2], weighted by a window, each transformed.
    @Sendable
    private static func shortTimeTransform(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        var shape = node.shape(x)
        var signal = x
        if shape.count == 2 {
            shape.append(1)
            signal = try node.builder.view(x, shape)
        }
        guard shape.count == 3, let step = try node.constantInts(1, "frame_step")?.first, step > 0 else {
            throw .invalid("\(node.type(x)) is no signal [batch, length, 1 or 2], or its frame_step is not positive")
        }
        let window = node.optionalInput(2)
        let length = try node.constantInts(3, "frame_length")?.first ?? window.map { node.type($0).count } ?? shape[1]
        guard length > 0, length <= shape[1], window.map({ node.shape($0) == [length] }) ?? true else {
            throw .invalid("frames of \(length) entries do not fit the window or the signal \(node.type(x))")
        }
        let frames = (shape[1] - length) / step + 1
        try CheckedSize.checkConstant([frames, length])
        let places = (0..<frames * length).map { Int64($0 / length * step + $0 % length) }
        var framed = try node.emit(
            Gathering(axis: 1), signal, node.constant(Constant(places, shape: [frames, length])))
        if let window { framed = try node.builder.multiply(framed, try node.builder.view(window, [length, 1])) }
        let matrix = try FourierMatrix(
            entries: length, parts: shape[2], length: length, isInverse: false,
            isOneSided: try node.flag("onesided", default: true))
        return [try transformed(framed, axis: 2, matrix, in: &node)]
    }
}

/// The discrete Fourier transform of `entries` numbers, cut or filled up with zeros to `length`, as a real matrix from
/// (entry, part) to (output, part).
private struct FourierMatrix {
    let entries: Int
    let parts: Int
    let length: Int
    let isInverse: Bool
    /// Whether only the first half of the spectrum is computed, or given to the inverse.
    let isOneSided: Bool

    init(entries: Int, parts: Int, length: Int, isInverse: Bool, isOneSided: Bool) throws(GraphError) {
        guard length > 0 else { throw .invalid("a transform of length \(length)") }
        self.entries = entries
        self.parts = parts
        self.length = length
        self.isInverse = isInverse
        self.isOneSided = isOneSided
    }

    var outputs: Int { isOneSided && !isInverse ? length / 2 + 1 : length }
    /// The inverse of half a spectrum is real.
    var outputParts: Int { isOneSided && isInverse ? 1 : 2 }

    func constant() throws(GraphError) -> Constant {
        let shape = [entries * parts, outputs * outputParts]
        try CheckedSize.checkConstant(shape)
        var matrix = [Float](repeating: 0, count: shape.elementCount)
        let used = min(entries, isOneSided && isInverse ? length / 2 + 1 : length)
        for entry in 0..<used {
            for output in 0..<outputs {
                // Reduced before it is multiplied, so that long transforms stay exact.
                let angle = 2 * Double.pi * Double(entry * output % length) / Double(length)
                let (real, imaginary) = (cos(angle) * scale(entry), (isInverse ? 1 : -1) * sin(angle) * scale(entry))
                // (a + ib)(real + i imaginary)
                let terms = [[real, imaginary], [-imaginary, real]]
                for part in 0..<parts {
                    for outputPart in 0..<outputParts {
                        let place = (entry * parts + part) * shape[1] + output * outputParts + outputPart
                        matrix[place] = Float(terms[part][outputPart])
                    }
                }
            }
        }
        return Constant(matrix, shape: shape)
    }

    /// The inverse is divided by its length; of half a spectrum, what has a mirror image counts twice.
    private func scale(_ entry: Int) -> Double {
        guard isInverse else { return 1 }
        let hasMirror = isOneSided && entry > 0 && 2 * entry != length
        return (hasMirror ? 2 : 1) / Double(length)
    }
}
