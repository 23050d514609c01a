import Kernels
import ONNXFormat
import TensorGraph

/// Reading a tensor between its entries, at positions that are computed: a weighted sum of the entries around each.
///
/// Positions and weights are ordinary values of the graph, so gradients flow to the tensor and to the positions.
enum PointSampling {
    /// What a position reads on one axis: the index of an entry, always inside of the axis, and its weight.
    struct Tap {
        /// int64
        var index: ValueID
        /// float32, of the shape of `index`; nil stands for ones.
        var weight: ValueID?
    }

    /// How entries beyond the ends of an axis are read.
    enum Border {
        case zeros
        /// The last entry stands for all beyond it.
        case nearest
        /// The axis is mirrored at its last entries, or half an entry behind them.
        case reflected(atEntries: Bool)
    }

    /// [lead..., P, C] at points of [lead..., Q]: [lead..., Q, C].
    ///
    /// - Parameters:
    ///   - taps: for each axis of the P places, the last one varying fastest.
    ///   - sizes: of these axes.
    static func sample(_ x: ValueID, taps: [[Tap]], sizes: [Int], in builder: inout GraphBuilder) throws(GraphError)
        -> ValueID
    {
        let lead = builder.shape(of: x).count - 2
        var sum: ValueID?
        for corner in try corners(taps, sizes, in: &builder) {
            let places = try builder.view(corner.index, builder.shape(of: corner.index) + [1])
            var part = try builder.emit(TupleGathering(sharedAxes: lead), x, places)
            if let weight = corner.weight {
                part = try builder.multiply(part, try builder.view(weight, builder.shape(of: weight) + [1]))
            }
            sum = try sum.map { other throws(GraphError) in try builder.add(other, part) } ?? part
        }
        return sum!
    }

    /// Every combination of the axes' taps, as one tap of the axes taken together.
    static func corners(_ taps: [[Tap]], _ sizes: [Int], in builder: inout GraphBuilder) throws(GraphError) -> [Tap] {
        var corners = taps[0]
        for (axis, size) in zip(taps, sizes).dropFirst() {
            var next: [Tap] = []
            for corner in corners {
                let row = try builder.multiply(corner.index, builder.integer(Int64(size)))
                for tap in axis {
                    var weight = corner.weight ?? tap.weight
                    if let left = corner.weight, let right = tap.weight { weight = try builder.multiply(left, right) }
                    next.append(Tap(index: try builder.add(row, tap.index), weight: weight))
                }
            }
            corners = next
        }
        return corners
    }

    /// The nearest entry, halves to even.
    static func nearest(_ position: ValueID, size: Int, _ border: Border, in builder: inout GraphBuilder)
        throws(GraphError) -> [Tap]
    {
        let inside = try bounded(position, size: size, border, in: &builder)
        let entry = try builder.convert(try builder.unary(.round, inside), to: .int64)
        return [try tap(entry, weight: nil, size: size, border, in: &builder)]
    }

    /// The two entries around the position.
    static func linear(_ position: ValueID, size: Int, _ border: Border, in builder: inout GraphBuilder)
        throws(GraphError) -> [Tap]
    {
        let inside = try bounded(position, size: size, border, in: &builder)
        let floor = try builder.unary(.floor, inside)
        let fraction = try builder.subtract(inside, floor)
        let rest = try builder.unary(.affine(scale: -1, offset: 1), fraction)
        let first = try builder.convert(floor, to: .int64)
        let second = try builder.add(first, builder.integer(1))
        return [
            try tap(first, weight: rest, size: size, border, in: &builder),
            try tap(second, weight: fraction, size: size, border, in: &builder),
        ]
    }

    /// Four entries with the weights of cubic convolution (Keys 1981), a = -3/4.
    static func cubic(_ position: ValueID, size: Int, _ border: Border, in builder: inout GraphBuilder)
        throws(GraphError) -> [Tap]
    {
        let floor = try builder.unary(.floor, position)
        let fraction = try builder.subtract(position, floor)
        let first = try builder.convert(floor, to: .int64)
        let a: Float = -0.75
        let near: [Float] = [a + 2, -(a + 3), 0, 1]
        let far: [Float] = [a, -5 * a, 8 * a, -4 * a]
        var taps: [Tap] = []
        for offset in -1...2 {
            // Distance of the entry from the position, which each polynomial takes.
            let distance = try builder.unary(
                .affine(scale: offset > 0 ? -1 : 1, offset: Float(abs(offset))), fraction)
            let coefficients = offset == 0 || offset == 1 ? near : far
            var weight = try builder.unary(.affine(scale: coefficients[0], offset: coefficients[1]), distance)
            for coefficient in coefficients[2...] {
                weight = try builder.unary(
                    .affine(scale: 1, offset: coefficient), try builder.multiply(weight, distance))
            }
            var entry = try builder.add(first, builder.integer(Int64(offset)))
            if case .reflected(let atEntries) = border {
                entry = try reflected(entry, size: size, atEntries: atEntries, in: &builder)
            }
            taps.append(try tap(entry, weight: weight, size: size, border, in: &builder))
        }
        return taps
    }

    /// A tap whose index is inside of the axis; where entries beyond it are zeros, their weight is.
    private static func tap(
        _ entry: ValueID, weight: ValueID?, size: Int, _ border: Border, in builder: inout GraphBuilder
    ) throws(GraphError) -> Tap {
        let atLeast = try builder.binary(.max, entry, builder.integer(0))
        let index = try builder.binary(.min, atLeast, builder.integer(Int64(size - 1)))
        guard case .zeros = border else { return Tap(index: index, weight: weight) }
        let isInside = try builder.compare(.equal, index, entry)
        return Tap(
            index: index, weight: try builder.select(isInside, weight ?? builder.scalar(1), builder.scalar(0)))
    }

    // MARK: Borders

    private static func bounded(_ position: ValueID, size: Int, _ border: Border, in builder: inout GraphBuilder)
        throws(GraphError) -> ValueID
    {
        var result = position
        switch border {
        case .zeros: return position
        case .nearest: break
        case .reflected(let atEntries):
            let (start, span): (Float, Float) = atEntries ? (0, Float(size - 1)) : (-0.5, Float(size))
            if span == 0 { break }
            let distance = try builder.unary(.abs, try builder.unary(.affine(scale: 1, offset: -start), position))
            let phase = try builder.binary(.fmod, distance, builder.scalar(2 * span))
            let mirrored = try builder.unary(.affine(scale: -1, offset: 2 * span), phase)
            let isBehind = try builder.compare(.greater, phase, builder.scalar(span))
            result = try builder.unary(
                .affine(scale: 1, offset: start), try builder.select(isBehind, mirrored, phase))
        }
        return try builder.unary(.clip(low: 0, high: Float(size - 1)), result)
    }

    /// The entry that stands for one beyond the ends of a mirrored axis.
    private static func reflected(_ entry: ValueID, size: Int, atEntries: Bool, in builder: inout GraphBuilder)
        throws(GraphError) -> ValueID
    {
        if atEntries, size == 1 { return try builder.multiply(entry, builder.integer(0)) }
        let period = Int64(atEntries ? 2 * (size - 1) : 2 * size)
        let phase = try builder.binary(.mod, entry, builder.integer(period))
        let mirrored = try builder.subtract(builder.integer(atEntries ? period : period - 1), phase)
        return try builder.binary(.min, phase, mirrored)
    }
}
