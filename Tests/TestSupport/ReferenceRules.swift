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
    case let operation as TransposedConvolution:
        return transposedConvolution(operation.geometry, shapes, outputs[0].shape)
    case let operation as AxisResampling: return axisResampling(operation, shapes[0])
    case is Convert:
        guard outputs[0].elementType == .int64 else { return { $0 } }
        return { values in [values[0].map { $0.rounded(.towardZero) }] }
    case is Determinant:
        let n = shapes[0].last!
        return { values in
            [
                stride(from: 0, to: values[0].count, by: n * n).map { start in
                    expandedDeterminant(
                        (0..<n).map { row in Array(values[0][start + row * n..<start + (row + 1) * n]) })
                }
            ]
        }
    case let operation as OneHotEncoding: return oneHotEncoding(operation, outputs[0].shape)
    case let operation as ArgumentSearch: return argumentSearch(operation, shapes[0])
    case let operation as Convolution: return convolution(operation.geometry, shapes, outputs[0].shape)
    case let operation as Gathering: return gathering(operation.axis, shapes)
    case let operation as Recurrence: return recurrence(operation, shapes)
    case is SampleCrossEntropy: return crossEntropy(shapes[0])
    case is Select:
        let operands = shapes.map { broadcastPlaces(of: $0, in: outputs[0].shape) }
        return { values in
            [
                operands[0].indices.map { place in
                    let picked = values[0][operands[0][place]] != 0 ? 1 : 2
                    return values[picked][operands[picked][place]]
                }
            ]
        }
    case let operation as Comparison:
        let operands = shapes.map { broadcastPlaces(of: $0, in: outputs[0].shape) }
        return { values in
            [
                operands[0].indices.map { place in
                    comparison(operation.function, values[0][operands[0][place]], values[1][operands[1][place]]) ? 1 : 0
                }
            ]
        }
    case let operation as Logical:
        let (a, b) = (
            broadcastPlaces(of: shapes[0], in: outputs[0].shape), broadcastPlaces(of: shapes[1], in: outputs[0].shape)
        )
        return { values in
            [zip(a, b).map { logical(operation.function, values[0][$0] != 0, values[1][$1] != 0) ? 1 : 0 }]
        }
    case let operation as FloatTest where operation.property == .isNaN:
        return { values in [values[0].map { $0.isNaN ? 1 : 0 }] }
    case is Not: return { values in [values[0].map { $0 == 0 ? 1 : 0 }] }
    case let operation as Padding: return padding(operation, shapes[0], outputs[0].shape)
    case let operation as CumulativeSum: return cumulativeSum(operation, shapes[0])
    case let operation as Triangle:
        let kept = places(of: shapes[0]).map { place in
            let distance = place[place.count - 1] - place[place.count - 2]
            return operation.isUpper ? distance >= operation.diagonal : distance <= operation.diagonal
        }
        return { values in [zip(values[0], kept).map { $1 ? $0 : 0 }] }
    case let operation as ElementGathering:
        let walk = elementPlaces(shapes[0], shapes[1], operation.axis)
        return { values in [values[1].indices.map { values[0][walk($0, values[1])] }] }
    case let operation as ElementScattering:
        return scattering(operation.reduction, elementPlaces(shapes[0], shapes[1], operation.axis))
    case let operation as TupleGathering:
        let walk = tuplePlaces(shapes[0], shapes[1], outputs[0].shape, operation.sharedAxes)
        let count = outputs[0].count
        return { values in [(0..<count).map { values[0][walk($0, values[1])] }] }
    case let operation as TupleScattering:
        return scattering(
            operation.reduction, tuplePlaces(shapes[0], shapes[1], shapes[2], operation.sharedAxes))
    case let operation as FourierTransform: return fourierTransform(operation, shapes[0])
    case let operation as TopSelection: return topSelection(operation, shapes[0])
    default: preconditionFailure("\(operation) has no definition here")
    }
}

/// All index tuples of a shape in row-major order.
func places(of shape: [Int]) -> [[Int]] {
    shape.reduce([[]]) { all, size in all.flatMap { place in (0..<size).map { place + [$0] } } }
}

/// An operation each of whose output elements is one element of its first input.
func gather(_ shape: [Int], _ source: ([Int]) -> Int) -> ReferenceRule {
    let sources = places(of: shape).map(source)
    return { values in [sources.map { values[0][$0] }] }
}

/// For each element of `full` the element of a tensor of `shape` that is broadcast there.
func broadcastPlaces(of shape: [Int], in full: [Int]) -> [Int] {
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
