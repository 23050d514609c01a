import Glibc
import Kernels
import Operators
import TensorGraph

/// From the elements of a node's inputs to those of its outputs.
typealias ReferenceRule = ([[Double]]) -> [[Double]]

/// The definition of an operation for concrete types.
func referenceRule(_ operation: any Operation, _ inputs: [TensorType], _ outputs: [TensorType]) -> ReferenceRule {
    let shapes = inputs.map(\.shape)
    switch operation {
    case is View: return { $0 }
    case let operation as Transposition:
        let strides = shapes[0].rowMajorStrides
        return gather(outputs[0].shape) { place in
            place.indices.reduce(0) { $0 + place[$1] * strides[operation.permutation[$1]] }
        }
    case let operation as Slicing:
        let strides = shapes[0].rowMajorStrides
        return gather(outputs[0].shape) { place in
            place.indices.reduce(0) {
                $0 + (operation.starts[$1] + place[$1] * operation.steps[$1]) * strides[$1]
            }
        }
    case is Broadcasting:
        let places = broadcastPlaces(of: shapes[0], in: outputs[0].shape)
        return { values in [places.map { values[0][$0] }] }
    case let operation as Concatenation: return concatenation(operation.axis, shapes, outputs[0].shape)
    case let operation as Binary:
        let (a, b) = (
            broadcastPlaces(of: shapes[0], in: outputs[0].shape), broadcastPlaces(of: shapes[1], in: outputs[0].shape)
        )
        let function = binaryDefinition(operation)
        return { values in [a.indices.map { function(values[0][a[$0]], values[1][b[$0]]) }] }
    case let operation as Unary:
        let function = unaryDefinition(operation)
        return { values in [values[0].map(function)] }
    case let operation as Reduction: return reduction(operation, shapes[0])
    case let operation as RowNormalization: return rowNormalization(operation, shapes[0])
    case let operation as Softmax: return softmax(operation, shapes[0])
    case let operation as MatrixProduct: return matrixProduct(operation, shapes, outputs[0].shape)
    case let operation as Convolution: return convolution(operation.geometry, shapes, outputs[0].shape)
    case let operation as Gathering: return gathering(operation.axis, shapes)
    case is SampleCrossEntropy: return crossEntropy(shapes[0])
    default: preconditionFailure("\(operation) has no definition here")
    }
}

/// All index tuples of a shape in row-major order.
func places(of shape: [Int]) -> [[Int]] {
    shape.reduce([[]]) { all, size in all.flatMap { place in (0..<size).map { place + [$0] } } }
}

/// An operation each of whose output elements is one element of its first input.
private func gather(_ shape: [Int], _ source: ([Int]) -> Int) -> ReferenceRule {
    let sources = places(of: shape).map(source)
    return { values in [sources.map { values[0][$0] }] }
}

/// For each element of `full` the element of a tensor of `shape` that is broadcast there.
private func broadcastPlaces(of shape: [Int], in full: [Int]) -> [Int] {
    let padded = shape.leftPadded(toRank: full.count)
    let strides = padded.rowMajorStrides
    return places(of: full).map { place in
        place.indices.reduce(0) { $0 + (padded[$1] == 1 ? 0 : place[$1] * strides[$1]) }
    }
}

private func concatenation(_ axis: Int, _ shapes: [[Int]], _ output: [Int]) -> ReferenceRule {
    let sources: [(input: Int, element: Int)] = places(of: output).map { place in
        var place = place
        var input = 0
        while place[axis] >= shapes[input][axis] {
            place[axis] -= shapes[input][axis]
            input += 1
        }
        return (input, zip(place, shapes[input].rowMajorStrides).reduce(0) { $0 + $1.0 * $1.1 })
    }
    return { values in [sources.map { values[$0.input][$0.element] }] }
}

private func binaryDefinition(_ operation: Binary) -> (Double, Double) -> Double {
    switch operation.function {
    case .add: { $0 + $1 }
    case .sub: { $0 - $1 }
    case .mul: { $0 * $1 }
    case .div: { $0 / $1 }
    case .max: { max($0, $1) }
    case .min: { min($0, $1) }
    default: preconditionFailure("\(operation) has no definition here")
    }
}

private func unaryDefinition(_ operation: Unary) -> (Double) -> Double {
    switch operation.function {
    case .neg: { -$0 }
    case .exp: { exp($0) }
    case .sqrt: { $0.squareRoot() }
    case .square: { $0 * $0 }
    case .relu: { max(0, $0) }
    case .tanh: { tanh($0) }
    case .sigmoid: { 1 / (1 + exp(-$0)) }
    case .gelu: { $0 * 0.5 * erfc(-$0 / 2.squareRoot()) }
    case .silu: { $0 / (1 + exp(-$0)) }
    case .affine(let scale, let offset): { Double(scale) * $0 + Double(offset) }
    default: preconditionFailure("\(operation) has no definition here")
    }
}
