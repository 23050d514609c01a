import Kernels
import ONNXFormat
import TensorGraph

/// Operators on the bits of numbers, which depend on how wide a type is in the model.
enum BitOperators {
    static let all: [any OperatorPlugin] =
        [11, 28].map { version in
            StandardOperator("BitShift", since: version) { node throws(GraphError) in
                let direction = try node.string("direction")
                guard direction == "LEFT" || direction == "RIGHT" else {
                    throw .invalid("attribute 'direction' must be LEFT or RIGHT")
                }
                let type = try node.elementType(ofInput: 0)
                let shift = Bitwise(.shift(left: direction == "LEFT", unsigned64: type == .uint64))
                let shifted = try node.emit(shift, try node.input(0), try node.input(1))
                return [try node.builder.convert(shifted, to: type)]
            }
        }
        + [
            StandardOperator("BitwiseNot", since: 18) { node throws(GraphError) in
                let flipped = try node.emit(Bitwise(.logical(.xor)), try node.input(0), node.builder.integer(-1))
                return [try node.builder.convert(flipped, to: try node.elementType(ofInput: 0))]
            },
            StandardOperator("BitCast", since: 26) { node throws(GraphError) in
                guard let target = try node.elementType("to") else { throw .invalid("attribute 'to' is missing") }
                node.outputElementTypes[0] = target
                let source = try node.elementType(ofInput: 0)
                if source == target { return [try node.input(0)] }
                return [try node.emit(Reinterpretation(from: source, to: target), try node.input(0))]
            },
        ]
}
