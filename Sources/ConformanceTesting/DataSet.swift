import Foundation
import ONNXFormat
import Operators
import TensorGraph

/// One `test_data_set_*` folder.
struct DataSet {
    let folder: String

    var name: String { URL(fileURLWithPath: folder).lastPathComponent }

    /// The tensors fed to the model's inputs, in the order of its inputs; one that has no file keeps its initializer.
    /// - Throws: `GraphError` `unsupported` for a type that is not computed with, `invalid` for a tensor of another type
    ///   than the model's.
    func inputs(of graph: ONNXGraph) throws -> [String: Constant] {
        let initialized = Set(graph.initializers.map(\.name))
        var inputs: [String: Constant] = [:]
        for (number, input) in graph.inputs.enumerated() {
            let path = "\(folder)/input_\(number).pb"
            if initialized.contains(input.name), !FileManager.default.fileExists(atPath: path) { continue }
            let tensor = try tensor(path, for: input)
            guard tensor.elementType == input.elementType else {
                throw GraphError(.invalid, "is \(tensor.elementType), not as input '\(input.name)' declares", at: path)
            }
            inputs[input.name] = try tensor.constant()
        }
        return inputs
    }

    func expectedOutput(_ number: Int, _ output: ONNXValueInfo) throws -> ONNXTensor {
        let tensor = try tensor("\(folder)/output_\(number).pb", for: output)
        guard tensor.elementType.storage != nil else {
            throw GraphError(.unsupported, "\(tensor.elementType) is not computed", at: "output '\(output.name)'")
        }
        return tensor
    }

    private func tensor(_ path: String, for port: ONNXValueInfo) throws -> ONNXTensor {
        guard case .tensor = port.type else {
            throw GraphError(.unsupported, "is no tensor; nothing else is computed with", at: "'\(port.name)'")
        }
        guard let bytes = try? Data(contentsOf: URL(fileURLWithPath: path)) else {
            throw ConformanceError("\(path): cannot be read")
        }
        let tensor = try ONNXTensor(serialized: Array(bytes), named: path)
        guard port.elementType == .bfloat16, tensor.elementType == .uint16 else { return tensor }
        return try Self.readingAsBFloat16(tensor, path)
    }

    /// NumPy has no bfloat16, so the data of older ONNX releases hold the bits as uint16.
    private static func readingAsBFloat16(_ tensor: ONNXTensor, _ path: String) throws -> ONNXTensor {
        // TensorProto: dims = 1, data_type = 2, raw_data = 9.
        var bytes: [UInt8] = []
        for dimension in tensor.dimensions { bytes += [8] + varint(dimension) }
        let data = try tensor.bytes()
        bytes += [16, 16, 9 << 3 | 2] + varint(data.count) + data
        return try ONNXTensor(serialized: bytes, named: path)
    }

    private static func varint(_ value: Int) -> [UInt8] {
        value < 128 ? [UInt8(value)] : [UInt8(value & 127 | 128)] + varint(value >> 7)
    }
}
