import Foundation

/// One test in the form of ONNX's own: a folder with `model.onnx` and, in `test_data_set_*`, inputs and what the model
/// must make of them (`input_*.pb`, `output_*.pb`, a serialized `TensorProto` each).
public struct NodeTest: Sendable, Hashable, CustomStringConvertible {
    /// Path of the folder.
    public let folder: String
    /// Name of the folder.
    public var name: String { URL(fileURLWithPath: folder).lastPathComponent }

    public init(folder: String) { self.folder = folder }

    public var description: String { name }

    /// Every test below `root`, by folder and name: in the folder itself, or where an installed `onnx` package has them.
    /// - Throws: `ConformanceError` if there are none.
    public static func all(below root: String) throws(ConformanceError) -> [NodeTest] {
        for data in ["", "backend/test/data/", "onnx/backend/test/data/"] {
            let found = ["", "node", "simple", "pytorch-converted", "pytorch-operator"].flatMap { kind in
                tests(in: "\(root)/\(data)\(kind)")
            }
            if !found.isEmpty { return found }
        }
        throw ConformanceError(
            "\(root): no test_*/model.onnx is here nor in backend/test/data; name the folder of an installed onnx package "
                + "or of its node tests, which Conformance/make_node_tests.py writes")
    }

    private static func tests(in folder: String) -> [NodeTest] {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return entries.sorted().map { NodeTest(folder: "\(folder)/\($0)") }
            .filter { FileManager.default.fileExists(atPath: $0.modelPath) }
    }

    var modelPath: String { "\(folder)/model.onnx" }

    /// The folders of input and output files, in order.
    func dataSets() throws(ConformanceError) -> [DataSet] {
        let prefix = "test_data_set_"
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        let sets = entries.filter { $0.hasPrefix(prefix) }
            .sorted { Int($0.dropFirst(prefix.count)) ?? 0 < Int($1.dropFirst(prefix.count)) ?? 0 }
        guard !sets.isEmpty else { throw ConformanceError("\(folder): has no \(prefix)* folder") }
        return sets.map { DataSet(folder: "\(folder)/\($0)") }
    }

    /// The tolerances that the test asks for, or those of ONNX's own runner.
    func tolerance() -> Tolerance {
        struct Settings: Decodable {
            var rtol: Double?
            var atol: Double?
        }
        let data = try? Data(contentsOf: URL(fileURLWithPath: "\(folder)/data.json"))
        let settings = data.flatMap { try? JSONDecoder().decode(Settings.self, from: $0) }
        return Tolerance(relative: settings?.rtol ?? 1e-3, absolute: settings?.atol ?? 1e-7)
    }
}

/// Why a test could not be read.
public struct ConformanceError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}
