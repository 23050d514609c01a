import Foundation
import TensorGraph

/// Tests on the values of a tensor that is stored row by row.
enum TensorPattern {
    /// The number that every element equals; nil if they differ or there is none.
    static func fill(of tensor: Constant) -> Float? {
        let values = elements(of: tensor)
        guard let first = values.first, values.allSatisfy({ $0 == first }) else { return nil }
        return first
    }

    /// Whether there are no fractions, as in counts, coordinates and tensors filled with a whole number.
    static func areIntegers(_ tensor: Constant) -> Bool {
        elements(of: tensor).allSatisfy { $0 == $0.rounded() }
    }

    /// Whether every entry of the first axis holds the same numbers.
    static func hasEqualRows(_ tensor: Constant) -> Bool {
        let values = elements(of: tensor)
        let width = values.count / max(tensor.type.shape.first ?? 1, 1)
        return width > 0 && values.indices.dropFirst(width).allSatisfy { values[$0] == values[$0 - width] }
    }

    /// Zeros and numbers so low that a softmax makes nothing of them, at least one of them.
    static func isAdditiveMask(_ tensor: Constant) -> Bool {
        var hides = false
        for value in elements(of: tensor) where value != 0 {
            guard value <= -1e4 else { return false }
            hides = true
        }
        return hides
    }

    /// Zeros and ones, some of each.
    static func isSwitch(_ tensor: Constant) -> Bool {
        var seen = (zero: false, one: false)
        for value in elements(of: tensor) {
            switch value {
            case 0: seen.zero = true
            case 1: seen.one = true
            default: return false
            }
        }
        return seen.zero && seen.one
    }

    /// Whether the entries of the last axis, three and more and the same in every row, differ by the same number from
    /// each to the next, as a grid's do.
    static func isEvenlySpaced(_ tensor: Constant) -> Bool {
        guard let row = repeatedRow(of: tensor), row.count > 2 else { return false }
        let step = (row[row.count - 1] - row[0]) / Double(row.count - 1)
        // Rounding of float32 against the largest number.
        let tolerance = 1e-6 * (row.map(abs).max() ?? 0)
        return row.indices.allSatisfy { abs(row[0] + step * Double($0) - row[$0]) <= tolerance }
    }

    /// Whether the entries of the last axis, the same in every row, have the same ratio from each to the next, as
    /// frequencies and ALiBi's slopes do: different powers of two, or three and more of any numbers.
    static func isGeometric(_ tensor: Constant) -> Bool {
        guard let row = repeatedRow(of: tensor), row.allSatisfy({ $0 > 0 }) else { return false }
        if row.allSatisfy({ $0.significand == 1 }), Set(row).count == row.count { return true }
        guard row.count > 2 else { return false }
        let ratio = log(row[row.count - 1] / row[0]) / Double(row.count - 1)
        return row.indices.allSatisfy { abs(row[0] * exp(ratio * Double($0)) / row[$0] - 1) <= 1e-5 }
    }

    /// The entries of the last axis with more than one entry, if they are the same whatever the others and not all equal.
    private static func repeatedRow(of tensor: Constant) -> [Double]? {
        let values = elements(of: tensor)
        guard let width = tensor.type.shape.last(where: { $0 != 1 }), width > 1,
            values.indices.dropFirst(width).allSatisfy({ values[$0] == values[$0 - width] })
        else { return nil }
        let row = values[..<width].map(Double.init)
        return row.allSatisfy(\.isFinite) && row.contains { $0 != row[0] } ? row : nil
    }

    /// Whether a matrix was computed and not learned, as adjacencies and the transforms of signals are: learned weights
    /// are not symmetric, except for diagonal ones that they may start from, and numbers that all are equal. Sines of large
    /// angles are so but for their rounding.
    static func isSymmetric(_ tensor: Constant) -> Bool {
        let shape = tensor.type.shape
        guard shape.count == 2, shape[0] == shape[1], shape[0] >= 3, fill(of: tensor) == nil else { return false }
        let values = elements(of: tensor)
        let size = shape[0]
        let rounding = 1e-5 * (values.map(\.magnitude).max() ?? 0)
        var isDiagonal = true
        for row in 0..<size {
            for column in 0..<row {
                let difference = values[row * size + column] - values[column * size + row]
                guard difference.magnitude <= rounding else { return false }
                if values[row * size + column] != 0 { isDiagonal = false }
            }
        }
        return !isDiagonal
    }

    /// Whether a matrix says which entries belong to which others and how much, as adjacencies, pooling matrices and filter
    /// banks do: positive numbers, not only on the diagonal, and many zeros.
    static func isIncidence(_ tensor: Constant) -> Bool {
        let shape = tensor.type.shape
        guard shape.count == 2, shape.allSatisfy({ $0 >= 3 }), fill(of: tensor) == nil else { return false }
        let values = elements(of: tensor)
        // Weights in whole numbers, as examples have them, may hold some zeros, too.
        let share = areIntegers(tensor) ? 2 : 4
        guard values.allSatisfy({ $0 >= 0 }), values.count(where: { $0 == 0 }) * share > values.count else {
            return false
        }
        return values.indices.contains { values[$0] != 0 && $0 / shape[1] != $0 % shape[1] }
    }

    /// Whether all kernels [outputs, inputs, ...] are whole numbers that add up to zero, as the filters of Sobel and Laplace
    /// do.
    static func areStencils(_ tensor: Constant) -> Bool {
        let shape = tensor.type.shape
        guard shape.count >= 3, areIntegers(tensor) else { return false }
        let values = elements(of: tensor)
        let size = shape[2...].reduce(1, *)
        return values.contains { $0 != 0 }
            && stride(from: 0, to: values.count, by: max(size, 1)).allSatisfy {
                values[$0..<$0 + size].reduce(0, +) == 0
            }
    }

    /// Whether the tensor holds sines and cosines of multiples of its position along some axis, as the tables of
    /// positions do that are computed and not learned.
    ///
    /// Every sequence sin(wt + a), and no sequence of weights, follows x[t + 1] + x[t - 1] = 2 cos(w) x[t]. The factor
    /// is fitted by least squares for each sequence along the axis, which takes four positions to mean anything.
    static func isSinusoidal(_ tensor: Constant) -> Bool {
        let values = elements(of: tensor)
        let shape = tensor.type.shape
        return areBounded(values) && (haveRowsOfPairs(values, width: shape.last ?? 0) || areWaves(values, shape))
    }

    /// Whether no number exceeds 1 by more than rounding to float16 and arguments of some thousands cost.
    private static func areBounded(_ values: UnsafeBufferPointer<Float>) -> Bool {
        values.allSatisfy { abs($0) <= 1.002 }
    }

    private static func areWaves(_ values: UnsafeBufferPointer<Float>, _ shape: [Int]) -> Bool {
        shape.indices.contains { axis in
            guard shape[axis] >= 4 else { return false }
            let stride = shape[(axis + 1)...].reduce(1, *)
            return areSinusoidal(values, length: shape[axis], stride: stride)
        }
    }

    /// Whether each of four rows and more is half sines and half cosines of the same angles, whose squares add up to one
    /// each, or zero as that of a padding token, which the recurrence would stumble over.
    private static func haveRowsOfPairs(_ values: UnsafeBufferPointer<Float>, width: Int) -> Bool {
        guard width >= 4, width % 2 == 0, values.contains(where: { abs($0) != abs(values[0]) }) else { return false }
        var rows = 0
        for start in Swift.stride(from: 0, to: values.count, by: width) {
            let square = values[start..<start + width].reduce(0.0) { $0 + Double($1) * Double($1) }
            if square == 0 { continue }
            guard abs(square / Double(width / 2) - 1) < 0.002 else { return false }
            rows += 1
        }
        return rows >= 4
    }

    private static func areSinusoidal(_ values: UnsafeBufferPointer<Float>, length: Int, stride: Int) -> Bool {
        var varies = false
        for block in Swift.stride(from: 0, to: values.count, by: length * stride) {
            for start in block..<block + stride {
                var (product, square) = (0.0, 0.0)
                var (low, high) = (Double.infinity, -Double.infinity)
                for position in 0..<length {
                    let value = Double(values[start + position * stride])
                    (low, high) = (min(low, value), max(high, value))
                    guard 1..<length - 1 ~= position else { continue }
                    product += value * neighbours(values, start + position * stride, stride)
                    square += value * value
                }
                let factor = square > 0 ? product / square : 2
                guard abs(factor) <= 2.01 else { return false }
                for position in 1..<length - 1 {
                    let place = start + position * stride
                    guard abs(neighbours(values, place, stride) - factor * Double(values[place])) < 0.005 else {
                        return false
                    }
                }
                varies = varies || high - low > 0.5
            }
        }
        return varies
    }

    private static func neighbours(_ values: UnsafeBufferPointer<Float>, _ place: Int, _ stride: Int) -> Double {
        Double(values[place - stride]) + Double(values[place + stride])
    }

    /// The elements of a tensor of floats, which lives at least as long.
    private static func elements(of tensor: Constant) -> UnsafeBufferPointer<Float> {
        precondition(tensor.type.elementType == .float32)
        return UnsafeRawBufferPointer(rebasing: tensor.bytes.prefix(tensor.type.byteCount)).bindMemory(to: Float.self)
    }
}
