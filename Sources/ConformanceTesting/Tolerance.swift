import ONNXFormat
import TensorGraph

/// How far a result may lie from what is expected: |result - expected| <= absolute + relative * |expected|.
struct Tolerance: Hashable, Sendable {
    var relative: Double
    /// Sums in another order differ by rounding where terms cancel, so that exact zeros need some room.
    var absolute: Double

    /// What is wrong with `result`, or nil.
    ///
    /// Results are computed in float32, int64 or bool; they are rounded to the expected tensor's own floating-point
    /// type first, since that is what is lost where a model's output has a narrower type.
    /// - Throws: `ONNXFormatError` if the expected elements cannot be read.
    func difference(_ result: Constant, from expected: ONNXTensor, _ judgement: Judgement) throws -> String? {
        guard result.type.shape == expected.dimensions else {
            return "has shape \(result.type.shape), not \(expected.dimensions)"
        }
        guard case .elements(let absolute) = judgement else { return nil }
        var tolerance = self
        tolerance.absolute = max(tolerance.absolute, absolute)
        return try tolerance.difference(result, from: expected)
    }

    private func difference(_ result: Constant, from expected: ONNXTensor) throws -> String? {
        switch result.type.elementType {
        case .float32: return difference(result.floatValues, from: expected.elementType, try expected.doubles())
        case .int64: return firstDifference(result.int64Values, try expected.int64s(), ==)
        case .bool: return firstDifference(result.int64Values.map { $0 != 0 }, try expected.bools(), ==)
        case .float64: return "is computed in float64, which no model output is"
        }
    }

    private func difference(_ result: [Float], from type: ONNXElementType, _ expected: [Double]) -> String? {
        var tolerance = self
        let rounded: [Double]
        switch type {
        case .float16:
            tolerance.relative = max(relative, 0x1p-9)  // two units in the last place
            tolerance.absolute = max(absolute, 0x1p-23)
            rounded = result.map { Double(Float16($0)) }
        case .bfloat16:
            tolerance.relative = max(relative, 0x1p-6)
            rounded = result.map(Double.init)
        case .float64:
            tolerance.absolute = max(absolute, 1e-6)
            // Beyond the range of float32 infinity is the right answer.
            return tolerance.firstDifference(result.map(Double.init), expected.map { Double(Float($0)) })
        default: rounded = result.map(Double.init)
        }
        return tolerance.firstDifference(rounded, expected)
    }

    private func firstDifference(_ result: [Double], _ expected: [Double]) -> String? {
        firstDifference(result, expected) { x, y in
            x == y || (x.isNaN && y.isNaN) || (x - y).magnitude <= absolute + relative * y.magnitude && y.isFinite
        }
    }

    private func firstDifference<Value>(_ result: [Value], _ expected: [Value], _ agree: (Value, Value) -> Bool)
        -> String?
    {
        let wrong = zip(result, expected).enumerated().filter { !agree($1.0, $1.1) }
        guard let first = wrong.first else { return nil }
        return "differs in \(wrong.count) of \(expected.count) elements, first \(first.element.0), not "
            + "\(first.element.1), at \(first.offset)"
    }
}
