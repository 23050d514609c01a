import Glibc
import Kernels
import Operators
import TensorGraph

/// Each output element from all entries that it combines.
func reduction(_ operation: Reduction, _ shape: [Int]) -> ReferenceRule {
    let kept = shape.indices.filter { !operation.axes.contains($0) }
    let strides = kept.map { shape[$0] }.rowMajorStrides
    let targets = places(of: shape).map { place in zip(kept, strides).reduce(0) { $0 + place[$1.0] * $1.1 } }
    let count = kept.map { shape[$0] }.elementCount
    return { values in
        var groups = [[Double]](repeating: [], count: count)
        for (place, target) in targets.enumerated() { groups[target].append(values[0][place]) }
        return [groups.map { reduced($0, operation.function) }]
    }
}

private func reduced(_ values: [Double], _ function: ReductionFunction) -> Double {
    let sum = values.reduce(0, +)
    return switch function {
    case .sum: sum
    case .mean: sum / Double(values.count)
    case .max: values.max() ?? -.infinity
    case .min: values.min() ?? .infinity
    case .prod: values.reduce(1, *)
    case .sumSquare: values.reduce(0) { $0 + $1 * $1 }
    case .l1: values.reduce(0) { $0 + $1.magnitude }
    case .l2: values.reduce(0) { $0 + $1 * $1 }.squareRoot()
    case .logSum: log(sum)
    case .logSumExp: log(values.reduce(0) { $0 + exp($1) })
    }
}

/// (x - mean) / sqrt(variance + epsilon) of each row, and 1 / sqrt(...).
func rowNormalization(_ operation: RowNormalization, _ shape: [Int]) -> ReferenceRule {
    let size = shape[operation.axis...].elementCount
    return { values in
        var normalized: [Double] = []
        var scales: [Double] = []
        for start in stride(from: 0, to: values[0].count, by: size) {
            var row = Array(values[0][start..<start + size])
            if operation.isCentered {
                let mean = row.reduce(0, +) / Double(size)
                row = row.map { $0 - mean }
            }
            let square = row.reduce(0) { $0 + $1 * $1 } / Double(size)
            scales.append(1 / (square + Double(operation.epsilon)).squareRoot())
            normalized += row.map { $0 * scales.last! }
        }
        return [normalized, scales]
    }
}

func softmax(_ operation: Softmax, _ shape: [Int]) -> ReferenceRule {
    let inner = shape[(operation.axis + 1)...].elementCount
    let size = shape[operation.axis]
    return { values in
        var result = values[0]
        for line in 0..<result.count / max(size, 1) {
            let start = line / inner * size * inner + line % inner
            let elements = (0..<size).map { start + $0 * inner }
            let greatest = elements.map { values[0][$0] }.max()!
            let sum = elements.reduce(0) { $0 + exp(values[0][$1] - greatest) }
            for element in elements {
                let logarithm = values[0][element] - greatest - log(sum)
                result[element] = operation.form == .logSoftmax ? logarithm : exp(logarithm)
            }
        }
        return [result]
    }
}

func matrixProduct(_ operation: MatrixProduct, _ shapes: [[Int]], _ output: [Int]) -> ReferenceRule {
    let (m, n) = (output[output.count - 2], output[output.count - 1])
    let left = Array(shapes[0].suffix(2))
    let k = operation.transposesLeft ? left[0] : left[1]
    let leading = places(of: output.dropLast(2))
    func starts(_ shape: [Int]) -> [Int] {
        let padded = Array(shape.dropLast(2)).leftPadded(toRank: output.count - 2)
        let strides = padded.rowMajorStrides
        return leading.map { place in
            place.indices.reduce(0) { $0 + (padded[$1] == 1 ? 0 : place[$1] * strides[$1]) }
                * shape.suffix(2).elementCount
        }
    }
    let (startsA, startsB) = (starts(shapes[0]), starts(shapes[1]))
    let (rowA, columnA) = operation.transposesLeft ? (1, m) : (k, 1)
    let (rowB, columnB) = operation.transposesRight ? (1, k) : (n, 1)
    return { values in
        let (a, b) = (values[0], values[1])
        var result: [Double] = []
        result.reserveCapacity(output.elementCount)
        for (startA, startB) in zip(startsA, startsB) {
            for row in 0..<m {
                for column in 0..<n {
                    var sum = 0.0
                    for index in 0..<k {
                        sum += a[startA + row * rowA + index * columnA] * b[startB + index * rowB + column * columnB]
                    }
                    result.append(sum)
                }
            }
        }
        return [result]
    }
}

/// Every product of an input element with a weight element, and the output element that it is added to.
func convolution(_ geometry: ConvolutionGeometry, _ shapes: [[Int]], _ output: [Int]) -> ReferenceRule {
    let (x, w) = (shapes[0], shapes[1])
    let (stridesX, stridesW) = (x.rowMajorStrides, w.rowMajorStrides)
    var terms: [(output: Int, x: Int, w: Int)] = []
    for (index, place) in places(of: output).enumerated() {
        let group = place[1] / (output[1] / geometry.groups)
        for tap in places(of: Array(w[1...])) {
            var from = place[0] * stridesX[0] + (group * w[1] + tap[0]) * stridesX[1]
            var isInside = true
            for axis in 2..<x.count {
                let position =
                    place[axis] * geometry.strides[axis - 2] + tap[axis - 1] * geometry.dilations[axis - 2]
                    - geometry.padsBegin[axis - 2]
                isInside = isInside && (0..<x[axis]).contains(position)
                from += position * stridesX[axis]
            }
            let weight = zip([place[1]] + tap, stridesW).reduce(0) { $0 + $1.0 * $1.1 }
            if isInside { terms.append((index, from, weight)) }
        }
    }
    return { values in
        var result = [Double](repeating: 0, count: output.elementCount)
        for term in terms { result[term.output] += values[0][term.x] * values[1][term.w] }
        return [result]
    }
}

/// The adjoint: every product that a convolution of the output makes goes the other way.
func transposedConvolution(_ geometry: ConvolutionGeometry, _ shapes: [[Int]], _ output: [Int]) -> ReferenceRule {
    let forward = convolution(geometry, [output, shapes[1]], shapes[0])
    let count = output.elementCount
    return { values in
        // Entry k of the result is <x, convolution of the k-th unit tensor>.
        var unit = [Double](repeating: 0, count: count)
        return [
            (0..<count).map { element in
                unit[element] = 1
                defer { unit[element] = 0 }
                return zip(values[0], forward([unit, values[1]])[0]).reduce(0) { $0 + $1.0 * $1.1 }
            }
        ]
    }
}

func axisResampling(_ operation: AxisResampling, _ shape: [Int]) -> ReferenceRule {
    let map = operation.map
    let inner = shape[(operation.axis + 1)...].elementCount
    return { values in
        var result: [Double] = []
        for outer in 0..<shape[..<operation.axis].elementCount {
            for row in 0..<map.count {
                for i in 0..<inner {
                    result.append(
                        (map.starts[row]..<map.starts[row + 1]).reduce(0) { sum, k in
                            sum + Double(map.weights[k]) * values[0][(outer * map.columns + map.indices[k]) * inner + i]
                        })
                }
            }
        }
        return [result]
    }
}

func gathering(_ axis: Int, _ shapes: [[Int]]) -> ReferenceRule {
    let (outer, size) = (shapes[0][..<axis].elementCount, shapes[0][axis])
    let inner = shapes[0][(axis + 1)...].elementCount
    return { values in
        var result: [Double] = []
        for row in 0..<outer {
            for index in values[1] {
                let entry = Int(index) < 0 ? Int(index) + size : Int(index)
                let start = (row * size + entry) * inner
                result += values[0][start..<start + inner]
            }
        }
        return [result]
    }
}

/// The mean of -log softmax at the targets that count, sample by sample.
func crossEntropy(_ logits: [Int]) -> ReferenceRule {
    let (positions, classes) = (logits[1], logits[2])
    return { values in
        let losses = (0..<logits[0]).map { sample in
            var total = 0.0
            var counted = 0.0
            for position in sample * positions..<(sample + 1) * positions {
                let target = Int(values[1][position])
                if target == Int(SampleCrossEntropy.ignoredTarget) { continue }
                let row = values[0][position * classes..<(position + 1) * classes]
                let greatest = row.max()!
                let sum = row.reduce(0) { $0 + exp($1 - greatest) }
                total += greatest + log(sum) - row[row.startIndex + target]
                counted += 1
            }
            return counted == 0 ? 0 : total / counted
        }
        return [losses]
    }
}

/// By expansion along the first row.
func expandedDeterminant(_ rows: [[Double]]) -> Double {
    guard let first = rows.first else { return 1 }
    return first.indices.reduce(0) { sum, column in
        let minor = rows.dropFirst().map { row in row.indices.filter { $0 != column }.map { row[$0] } }
        return sum + (column % 2 == 0 ? 1 : -1) * first[column] * expandedDeterminant(minor)
    }
}

/// The sum over all entries for each one, by the definition of the discrete Fourier transform.
func fourierTransform(_ operation: FourierTransform, _ shape: [Int]) -> ReferenceRule {
    let length = shape[shape.count - 2]
    let sign: Double = operation.isConjugate ? 1 : -1
    return { values in
        var result = [Double](repeating: 0, count: values[0].count)
        for start in stride(from: 0, to: values[0].count, by: 2 * length) {
            for k in 0..<length {
                for j in 0..<length {
                    let angle = sign * 2 * Double.pi * Double(j * k % length) / Double(length)
                    let (real, imaginary) = (values[0][start + 2 * j], values[0][start + 2 * j + 1])
                    result[start + 2 * k] += real * cos(angle) - imaginary * sin(angle)
                    result[start + 2 * k + 1] += real * sin(angle) + imaginary * cos(angle)
                }
            }
        }
        return [result]
    }
}
