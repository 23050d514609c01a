import Kernels
import TensorGraph

/// A value as elements of another one, `base`, found at regular distances and multiplied by one number: what is left of
/// transpositions, changes of shape, slices and scalings if nobody carries them out.
struct StridedOrigin {
    /// A stretch of an axis: `size` entries, each `stride` elements of the base from the last.
    struct Piece: Hashable {
        var size: Int
        var stride: Int
    }

    /// What may be looked through besides changes of order and shape.
    struct Passage: OptionSet {
        let rawValue: Int
        static let slices = Passage(rawValue: 1)
        static let scalings = Passage(rawValue: 2)
    }

    private(set) var base: ValueID
    private var offset = 0
    /// The pieces of each axis, outermost first; axes of one entry have none.
    private var axes: [[Piece]]
    private(set) var scale: Float = 1

    init(of value: ValueID, in graph: Graph, through passage: Passage) {
        let shape = graph.type(of: value).shape
        if let node = graph.producer(of: value), !shape.contains(0),
            let origin = Self.moved(node, shape, graph, passage)
        {
            self = origin
            return
        }
        base = value
        axes = zip(shape, shape.rowMajorStrides).map { $0 == 1 ? [] : [Piece(size: $0, stride: $1)] }
    }

    /// The origin of a node's output by that of its input; nil if the node does more than move elements.
    private static func moved(_ node: Node, _ shape: [Int], _ graph: Graph, _ passage: Passage) -> StridedOrigin? {
        func source(_ index: Int = 0) -> StridedOrigin {
            StridedOrigin(of: node.inputs[index], in: graph, through: passage)
        }
        switch node.operation {
        case is View:
            return source().reshaped(to: shape)
        case let operation as Transposition:
            var origin = source()
            origin.axes = operation.permutation.map { origin.axes[$0] }
            return origin
        case let operation as Slicing where passage.contains(.slices):
            return source().sliced(operation)
        case let operation as Unary where passage.contains(.scalings):
            guard case .affine(let scale, offset: 0) = operation.function else { return nil }
            return source().multiplied(by: scale)
        case let operation as Binary where passage.contains(.scalings):
            guard let scaling = graph.scaling(node, operation) else { return nil }
            return source(scaling.input).multiplied(by: scaling.factor)
        default: return nil
        }
    }

    private func multiplied(by factor: Float) -> StridedOrigin {
        var result = self
        result.scale *= factor
        return result
    }

    private func reshaped(to shape: [Int]) -> StridedOrigin? {
        var rest = axes.flatMap { $0 }
        var result = self
        result.axes = []
        for size in shape {
            var missing = size
            var pieces: [Piece] = []
            while missing > 1 {
                guard let first = rest.first else { return nil }
                if missing % first.size == 0 {
                    pieces.append(rest.removeFirst())
                    missing /= first.size
                } else if first.size % missing == 0 {
                    rest[0].size = first.size / missing
                    pieces.append(Piece(size: missing, stride: first.stride * rest[0].size))
                    missing = 1
                } else {
                    return nil
                }
            }
            result.axes.append(pieces)
        }
        return result
    }

    private func sliced(_ slicing: Slicing) -> StridedOrigin? {
        var result = self
        for axis in axes.indices {
            // A slice of several pieces is a slice of the outermost only if it takes whole ones of the others.
            let inner = axes[axis].dropFirst().reduce(1) { $0 * $1.size }
            guard let outermost = axes[axis].first else { continue }
            guard slicing.steps[axis] == 1, slicing.starts[axis] % inner == 0, slicing.counts[axis] % inner == 0 else {
                return nil
            }
            result.offset += slicing.starts[axis] / inner * outermost.stride
            let count = slicing.counts[axis] / inner
            result.axes[axis].removeFirst()
            if count > 1 { result.axes[axis].insert(Piece(size: count, stride: outermost.stride), at: 0) }
        }
        return result
    }

    /// The last two axes as the rows and columns of matrices whose columns lie side by side: where each matrix begins
    /// and how far apart its rows are. Nil if they lie otherwise.
    /// - Parameter isFlipped: the last axis holds the rows.
    func matrices(isFlipped: Bool) -> (offsets: [Int], stride: Int)? {
        guard axes.count >= 2 else { return nil }
        let (first, second) = (Self.merged(axes[axes.count - 2]), Self.merged(axes[axes.count - 1]))
        let (rows, columns) = isFlipped ? (second, first) : (first, second)
        guard rows.count <= 1, columns.count <= 1, (columns.first?.stride ?? 1) == 1 else { return nil }
        let width = columns.first?.size ?? 1
        let stride = rows.first?.stride ?? width
        guard stride >= width else { return nil }
        let offsets = axes.dropLast(2).flatMap { $0 }.reduce([offset]) { starts, piece in
            starts.flatMap { start in (0..<piece.size).map { start + $0 * piece.stride } }
        }
        return (offsets, stride)
    }

    /// Neighbouring pieces that are one.
    private static func merged(_ pieces: [Piece]) -> [Piece] {
        pieces.reduce(into: []) { result, piece in
            if let last = result.last, last.stride == piece.size * piece.stride {
                result[result.count - 1] = Piece(size: last.size * piece.size, stride: piece.stride)
            } else {
                result.append(piece)
            }
        }
    }
}

extension Graph {
    /// Which input a node multiplies by a known number, and by which; nil if it does something else.
    func scaling(_ node: Node, _ operation: Binary) -> (input: Int, factor: Float)? {
        func number(_ index: Int) -> Float? {
            let type = type(of: node.inputs[index])
            guard type.count == 1, self.type(of: node.inputs[1 - index]).rank >= type.rank else { return nil }
            return self[node.inputs[index]].constant?.floatValues[0]
        }
        switch operation.function {
        case .mul:
            if let factor = number(1) { return (0, factor) }
            return number(0).map { (1, $0) }
        case .div: return number(1).map { (0, 1 / $0) }
        default: return nil
        }
    }
}
