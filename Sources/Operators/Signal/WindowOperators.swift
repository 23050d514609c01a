import Foundation
import ONNXFormat
import TensorGraph

/// ONNX's window functions and `MelWeightMatrix`: constants of the graph.
enum WindowOperators {
    static let all: [any OperatorPlugin] =
        [
            ("HannWindow", [0.5, -0.5]), ("HammingWindow", [25.0 / 46, -21.0 / 46]),
            ("BlackmanWindow", [0.42, -0.5, 0.08]),
        ].map { (type: String, coefficients: [Double]) in
            StandardOperator(type, since: 17, structuralInputs: [0]) { node throws(GraphError) in
                try window(&node, coefficients)
            }
        } + [StandardOperator("MelWeightMatrix", since: 17, expand: melWeightMatrix)]

    /// A sum of cosines: sum_k a_k cos(2 pi k n / N), N the size, or one less for a symmetric window.
    private static func window(_ node: inout Expansion, _ coefficients: [Double]) throws(GraphError) -> [ValueID] {
        guard let size = try node.constantInts(0, "size")?.first else { throw .invalid("its size is missing") }
        try CheckedSize.checkConstant([size])
        let period = Double(try node.flag("periodic", default: true) ? size : size - 1)
        let values = (0..<size).map { index in
            let angle = 2 * Double.pi * Double(index) / period
            return Float(coefficients.enumerated().reduce(0) { $0 + $1.element * cos(Double($1.offset) * angle) })
        }
        return [try typed(values, [size], in: &node)]
    }

    private static func typed(_ values: [Float], _ shape: [Int], in node: inout Expansion) throws(GraphError) -> ValueID
    {
        let type = try node.elementType("output_datatype") ?? .float32
        node.outputElementTypes[0] = type
        return try node.builder.convert(node.constant(Constant(values, shape: shape)), to: type)
    }

    /// Triangles that are evenly spaced on the mel scale, 2595 log10(1 + f / 700): [bins of the spectrum, mel bins].
    private static func melWeightMatrix(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        var numbers: [Double] = []
        for index in 0..<5 {
            guard let constant = node.builder.constant(try node.input(index)), let number = constant.floatValues.first
            else { throw .unsupported("its input \(index) is computed from data; it must be known beforehand") }
            numbers.append(Double(number))
        }
        guard let bands = Int(exactly: numbers[0]), let length = Int(exactly: numbers[1]), bands > 0, length > 0,
            numbers[2] > 0
        else { throw .invalid("num_mel_bins, dft_length and sample_rate must be positive") }
        func mel(_ hertz: Double) -> Double { 2595 * log10(1 + hertz / 700) }
        let (low, high) = (mel(numbers[3]), mel(numbers[4]))
        let bins = (0..<bands + 2).map { index in
            let hertz = 700 * (pow(10, (low + Double(index) * (high - low) / Double(bands + 2)) / 2595) - 1)
            return Int((Double(length + 1) * hertz / numbers[2]).rounded(.down))
        }
        let spectrum = length / 2 + 1
        guard bins.allSatisfy({ 0..<spectrum ~= $0 }) else { throw .invalid("its edges lie outside of the spectrum") }
        var weights = [Float](repeating: 0, count: spectrum * bands)
        for band in 0..<bands {
            let (lower, centre, upper) = (bins[band], bins[band + 1], bins[band + 2])
            for bin in lower..<centre { weights[bin * bands + band] = Float(bin - lower) / Float(centre - lower) }
            weights[centre * bands + band] = 1
            for bin in centre..<upper { weights[bin * bands + band] = Float(upper - bin) / Float(upper - centre) }
        }
        return [try typed(weights, [spectrum, bands], in: &node)]
    }
}
