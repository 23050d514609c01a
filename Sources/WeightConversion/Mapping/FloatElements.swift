import ONNXFormat
import Operators
import TensorGraph
import Training

/// Elements as they are compared: float32, rounded to the type of the graph's tensor, with zeros of one sign.
enum FloatElements {
    static func ofGraph(_ tensor: GraphTensor) throws -> [Float] { canonical(try tensor.original.load().floatValues) }

    static func ofState(_ array: NamedArray, roundedTo type: ONNXElementType) -> [Float] {
        let values = array.floats()
        array.discardPages()
        switch type {
        case .float16: return canonical(values.map { Float(Float16($0)) })
        case .bfloat16: return canonical(values.map { Float(bitPattern: UInt32($0.bfloat16BitPattern) << 16) })
        default: return canonical(values)
        }
    }

    private static func canonical(_ values: consuming [Float]) -> [Float] {
        var values = values
        for index in values.indices where values[index] == 0 { values[index] = 0 }
        return values
    }

    /// The number that every element is; nil if they differ or there are none.
    static func fill(of values: [Float]) -> Float? {
        guard let first = values.first, values.allSatisfy({ $0 == first }) else { return nil }
        return first
    }
}
