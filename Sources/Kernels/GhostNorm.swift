import CVectorKernels

/// A matrix of `features` for each of T positions, stored position-major [T, features] (a linear layer) or feature-major
/// [features, T] (a convolution), with its row stride.
struct PositionMatrix {
    var pointer: UnsafePointer<Float>
    var stride: Int
    var features: Int
    var isFeatureMajor: Bool

    /// out:[rows.count, columns.count] = the inner products of positions `rows` of self with positions `columns` of other.
    func gram(
        _ other: PositionMatrix, rows: Range<Int>, columns: Range<Int>, into out: UnsafeMutablePointer<Float>
    ) {
        serialGemm(
            transposeA: isFeatureMajor, transposeB: !other.isFeatureMajor, m: rows.count, n: columns.count, k: features,
            alpha: 1, a: at(rows.lowerBound), lda: stride, b: other.at(columns.lowerBound), ldb: other.stride, beta: 0,
            c: out, ldc: columns.count)
    }

    /// The same for at most `GhostNorm.tile` positions of either, by our own kernel, which is faster on so few.
    ///
    /// `packed` holds `GhostNorm.packedCount` elements.
    func tileGram(
        _ other: PositionMatrix, rows: Range<Int>, columns: Range<Int>, into out: UnsafeMutablePointer<Float>,
        packed: UnsafeMutablePointer<Float>
    ) {
        if features == 0 { out.update(repeating: 0, count: rows.count * columns.count) }
        let right = packed + GhostNorm.packedCount(positions: rows.count) / 2
        for first in Swift.stride(from: 0, to: features, by: GhostNorm.depth) {
            let part = first..<min(features, first + GhostNorm.depth)
            pack(rows, part, into: packed)
            other.pack(columns, part, into: right)
            vector.pointee.gram(
                packed, Int64(rows.count), right, Int64(columns.count), Int64(part.count), out, Int64(columns.count),
                0, first > 0 ? 1 : 0)
        }
    }

    /// The same within one range of positions; only the upper triangle of `out` is meaningful.
    func symmetricTileGram(
        _ range: Range<Int>, into out: UnsafeMutablePointer<Float>, packed: UnsafeMutablePointer<Float>
    ) {
        if features == 0 { out.update(repeating: 0, count: range.count * range.count) }
        for first in Swift.stride(from: 0, to: features, by: GhostNorm.depth) {
            let part = first..<min(features, first + GhostNorm.depth)
            pack(range, part, into: packed)
            vector.pointee.gram(
                packed, Int64(range.count), packed, Int64(range.count), Int64(part.count), out, Int64(range.count), 1,
                first > 0 ? 1 : 0)
        }
    }

    /// Some features of some positions as [features, positions] in panels.
    private func pack(_ positions: Range<Int>, _ part: Range<Int>, into packed: UnsafeMutablePointer<Float>) {
        let (feature, position) = isFeatureMajor ? (stride, 1) : (1, stride)
        vector.pointee.pack_panels(
            pointer + positions.lowerBound * position + part.lowerBound * feature, Int64(feature), Int64(position),
            Int64(part.count), Int64(positions.count), packed)
    }

    private func at(_ position: Int) -> UnsafePointer<Float> {
        pointer + (isFeatureMajor ? position : position * stride)
    }

    /// out:[rows.count, other.features] = the rows `rows` of self^T other, summed over `positions` positions.
    func contraction(
        _ other: PositionMatrix, rows: Range<Int>, positions: Int, into out: UnsafeMutablePointer<Float>
    ) {
        serialGemm(
            transposeA: !isFeatureMajor, transposeB: other.isFeatureMajor, m: rows.count, n: other.features,
            k: positions, alpha: 1, a: pointer + (isFeatureMajor ? rows.lowerBound * stride : rows.lowerBound),
            lda: stride, b: other.pointer, ldb: other.stride, beta: 0, c: out, ldc: other.features)
    }

    /// Sum over positions of each feature, added up in double precision: the gradient of a bias; its squared norm.
    func squaredNormOfSum(positions: Int) -> Double {
        var total = 0.0
        for feature in 0..<features {
            var sum = 0.0
            let start = pointer + (isFeatureMajor ? feature * stride : feature)
            let step = isFeatureMajor ? 1 : stride
            for position in 0..<positions { sum += Double(start[position * step]) }
            total += sum * sum
        }
        return total
    }

    /// The sum over positions of ||x_t|| ||g_t||, how large a contraction of the two would be if nothing cancelled, and
    /// the part of it that Grams may have lost.
    func productOfNorms(_ other: PositionMatrix, positions: Int) -> (sum: Double, lost: Double) {
        withUnsafeTemporaryAllocation(of: Double.self, capacity: 2 * positions) { squares in
            let own = squares.baseAddress!
            addSquares(positions: positions, into: own)
            other.addSquares(positions: positions, into: own + positions)
            return (0..<positions).reduce((0, 0)) { result, position in
                let (x, g) = (own[position], own[positions + position])
                let length = (x * g).squareRoot()
                return (result.0 + length, min(x, g) < GhostNorm.smallestSquare ? result.1 + length : result.1)
            }
        }
    }

    /// squares:[T] = ||x_t||^2 of every position.
    private func addSquares(positions: Int, into squares: UnsafeMutablePointer<Double>) {
        if isFeatureMajor {
            squares.update(repeating: 0, count: positions)
            for feature in 0..<features {
                let row = pointer + feature * stride
                for position in 0..<positions { squares[position] += Double(row[position]) * Double(row[position]) }
            }
        } else {
            for position in 0..<positions { squares[position] = sumOfSquares(pointer + position * stride, features) }
        }
    }

    /// ||x_t||^2 of one position, in double precision.
    func square(at position: Int) -> Double {
        let start = at(position)
        if !isFeatureMajor { return sumOfSquares(start, features) }
        return (0..<features).reduce(0) { $0 + Double(start[$1 * stride]) * Double(start[$1 * stride]) }
    }

    func isZero(positions: Int) -> Bool {
        let rows = isFeatureMajor ? features : positions
        let columns = isFeatureMajor ? positions : features
        return (0..<rows).allSatisfy { row in (0..<columns).allSatisfy { pointer[row * stride + $0] == 0 } }
    }
}

/// Squared Frobenius norms of x^T g without forming it (Goodfellow 2015; Li et al. 2022; Bu et al. 2022).
enum GhostNorm {
    /// Positions per side of a Gram tile; the two tiles of this size stay in a core's second-level cache.
    static let tile = 128
    /// Features that are packed at a time.
    static let depth = 256
    /// Elements of what is packed for two tiles of at most T positions each, in whole panels.
    static func packedCount(positions: Int) -> Int { 2 * depth * ((min(tile, positions) + 31) / 32 * 32) }
    /// Elements of the two Gram tiles for T positions, and of what is packed for one.
    static func gramCount(positions: Int) -> Int {
        2 * min(tile, positions) * min(tile, positions) + packedCount(positions: positions)
    }

    /// Elements in which a whole x^T g, or some of its rows at a time, is instantiated.
    static func instantiatedCount(rows: Int, columns: Int) -> Int { min(rows * columns, max(65536, 16 * columns)) }

    /// Below this share of S^2, S = sum_t ||x_t|| ||g_t||, single-precision Grams have cancelled too far to be trusted.
    ///
    /// Rounding moves the sum of their products by about 2^-24 S^2 / T, so that what is trusted is right to a few
    /// millionths; gradients of unrelated positions have norms of S^2 / T.
    private static func trusted(positions: Int) -> Double { max(1e-5, 0.03 / Double(positions)) }

    /// Squares that are smaller may have lost digits, or all: sums stay zero until a term reaches 2^-126, the least
    /// normal number, so that n features may lose n 2^-126. A million lose 2^-26 of this.
    static let smallestSquare = 0x1p-80

    /// Whether a sum of products of Grams, which would be `bound` without cancellation, lacks nothing that counts.
    static func lacksNothing(_ sum: Double, lost: Double, of bound: Double) -> Bool {
        lost * bound <= 0x1p-24 * sum.magnitude
    }

    /// Rounding of a single-precision contraction of x and g, as a share of S: twice what is measured.
    private static let rounding = 0x1p-25

    /// ||x^T g||^2, plus ||sum_t g_t||^2 if `includeBias`, by the Gram matrices <X X^T + 1, G G^T>, summed in double
    /// precision; by instantiation where the Grams have cancelled.
    ///
    /// `scratch` holds `gramCount` elements, `instantiated` holds `instantiatedCount`. Not finite if x or g is not finite.
    static func squared(
        _ x: PositionMatrix, _ g: PositionMatrix, positions: Int, includeBias: Bool,
        scratch: UnsafeMutablePointer<Float>, instantiated: UnsafeMutablePointer<Float>
    ) -> Double {
        let grams = byGrams(x, g, positions: positions, one: includeBias ? 1 : 0, scratch: scratch)
        if grams.isTrusted(positions: positions) { return grams.sum }
        // Without a gradient, as in padding samples, there is nothing to instantiate.
        if grams.sum == 0, g.isZero(positions: positions) { return 0 }
        return byInstantiation(x, g, positions: positions, includeBias: includeBias, buffer: instantiated)
    }

    /// What Gram matrices tell of a squared norm.
    struct GramSum {
        /// The sum of products of their entries.
        var sum = 0.0
        /// S, or a little more.
        private(set) var bound = 0.0
        /// The share in S of positions whose squares single precision does not hold.
        private var lost = 0.0

        /// Counts a position with what it adds to S.
        mutating func add(squareOfX: Double, squareOfG: Double, isLost: Bool) {
            let length = max(0, squareOfX * squareOfG).squareRoot()
            bound += length
            if isLost { lost += length }
        }

        /// Whether the sum has not cancelled, and lacks nothing that counts.
        func isTrusted(positions: Int) -> Bool {
            sum > 0 && sum.isFinite && sum >= trusted(positions: positions) * bound * bound
                && lacksNothing(sum, lost: lost, of: bound)
        }
    }

    /// The Grams, by tiles, of x plus `one` and of g.
    private static func byGrams(
        _ x: PositionMatrix, _ g: PositionMatrix, positions: Int, one: Double, scratch: UnsafeMutablePointer<Float>
    ) -> GramSum {
        let gramX = scratch
        let gramG = scratch + min(tile, positions) * min(tile, positions)
        let packed = gramG + min(tile, positions) * min(tile, positions)
        var result = GramSum()
        for firstRow in stride(from: 0, to: positions, by: tile) {
            let rows = firstRow..<min(positions, firstRow + tile)
            x.symmetricTileGram(rows, into: gramX, packed: packed)
            g.symmetricTileGram(rows, into: gramG, packed: packed)
            for row in 0..<rows.count {
                let start = row * rows.count + row
                let (squareOfX, squareOfG) = (Double(gramX[start]) + one, Double(gramG[start]))
                let isLost = min(squareOfX, squareOfG) < smallestSquare
                let position = firstRow + row
                result.add(
                    squareOfX: isLost ? x.square(at: position) + one : squareOfX,
                    squareOfG: isLost ? g.square(at: position) : squareOfG, isLost: isLost)
                result.sum += squareOfX * squareOfG
                result.sum += 2 * shiftedDot(gramX + start + 1, gramG + start + 1, rows.count - row - 1, shift: one)
            }
            for firstColumn in stride(from: rows.upperBound, to: positions, by: tile) {
                let columns = firstColumn..<min(positions, firstColumn + tile)
                x.tileGram(x, rows: rows, columns: columns, into: gramX, packed: packed)
                g.tileGram(g, rows: rows, columns: columns, into: gramG, packed: packed)
                result.sum += 2 * shiftedDot(gramX, gramG, rows.count * columns.count, shift: one)
            }
        }
        return result
    }

    /// ||x^T g||^2 (+ ||sum_t g_t||^2) by forming x^T g, as many rows at a time as fit into `buffer`.
    ///
    /// Where x^T g cancels, the clipped contraction rounds otherwise than this one. What both may be wrong by is then
    /// added, so that no clipped gradient is longer than its threshold.
    static func byInstantiation(
        _ x: PositionMatrix, _ g: PositionMatrix, positions: Int, includeBias: Bool,
        buffer: UnsafeMutablePointer<Float>
    ) -> Double {
        let step = max(1, instantiatedCount(rows: x.features, columns: g.features) / max(1, g.features))
        var sum = includeBias ? g.squaredNormOfSum(positions: positions) : 0
        for first in stride(from: 0, to: x.features, by: step) {
            let rows = first..<min(x.features, first + step)
            x.contraction(g, rows: rows, positions: positions, into: buffer)
            sum += sumOfSquares(buffer, rows.count * g.features)
        }
        let bound = x.productOfNorms(g, positions: positions).sum
        return widened(sum, bound, positions: positions)
    }

    /// An instantiated squared norm, with what it may be wrong by where the gradient has cancelled; `bound` is S.
    static func widened(_ sum: Double, _ bound: Double, positions: Int) -> Double {
        guard sum < trusted(positions: positions) * bound * bound else { return sum }
        let longest = sum.squareRoot() + rounding * bound
        return longest * longest
    }

    /// sum of (x + shift) * y in double precision
    private static func shiftedDot(
        _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, _ count: Int, shift: Double
    ) -> Double {
        if shift == 0 { return dot(x, y, count) }
        var sum = 0.0
        for index in 0..<count { sum += (Double(x[index]) + shift) * Double(y[index]) }
        return sum
    }
}
